// Predicts $line_of at 115,200 baud, as `gatelet predict$stream_flag` does.
#include <$name.h>

#define SAY(text) Serial.print(text)
#define SAY_SCORE(score) Serial.print(score, 6)
#define SAY_NUMBER(number) Serial.print(number, 6)
#define SAY_COUNT(number) Serial.print(number)
#include "$line_header"

static char line[$line_bytes];
static size_t used;

void setup() {
  Serial.begin(115200);
}

void loop() {
  const int c = Serial.read();
  if (c == '\n') {
    line[used] = 0;
    take_line(line);
    used = 0;
  } else if (c >= 0 && c != '\r' && used + 1 < sizeof line) {
    line[used++] = (char)c;
  }
}
