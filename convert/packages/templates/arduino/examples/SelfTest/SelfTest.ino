// Feeds golden rows to the model, and says how many are wrong on this board: "wrong 0" is right.
#include <$name.h>

#define GOLDEN_WHOLE $golden_whole // steps take less memory than whole rows
#include "golden.h"

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  Serial.print("wrong ");
  Serial.println(golden_wrong());
  Serial.flush();
}

void loop() {
}
