$told
#include <stdio.h>
#include <string.h>

#include "$line_header"

/* Takes lines from standard input until it ends. */
static int take_lines(void) {
    static char line[1 << 16];
    int failed = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        failed |= take_line(line);
        fflush(stdout);
    }
    return failed;
}

#if defined(ESP_PLATFORM)
void app_main(void);
void app_main(void) {
    take_lines();
}
#else
int main(int count, char **words) {
    int failed = 0;
    for (int i = 1; i < count; i++) {
        failed |= take_line(words[i]);
    }
    return count > 1 ? failed : take_lines();
}
#endif
