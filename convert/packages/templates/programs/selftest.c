/* Feeds golden rows to '$title', and prints how many are wrong on this machine: "wrong 0" is right. */
#include <stdio.h>

#include "golden.h"

#if defined(ESP_PLATFORM)
void app_main(void);
void app_main(void) {
    printf("wrong %d\n", golden_wrong());
}
#else
int main(void) {
    const int wrong = golden_wrong();
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
#endif
