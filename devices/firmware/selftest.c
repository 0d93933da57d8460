/* The device's side of `gatelet verify`: takes rows as lines of text, answers with scores' bits.
 *
 * The lines are those of docs/devices.md. It needs no libc, and knows no board: see selftest.h. */
#include "selftest.h"

#include "case.h"

static _Alignas(64) unsigned char scratch[CASE_SCRATCH_BYTES];
static _Alignas(64) uint32_t given[CASE_INPUT_WORDS];
static _Alignas(64) float made[CASE_OUTPUT_WORDS];
#if CASE_STEPS
static _Alignas(64) unsigned char state[CASE_STATE_BYTES];
#endif

static void write_number(uint64_t value) {
    char text[18];
    int place = 17;
    text[place] = 0;
    do {
        const unsigned digit = (unsigned)(value & 15);
        text[--place] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        value >>= 4;
    } while (value);
    device_write(text + place);
}

static void write_next(uint64_t value) {
    device_write(" ");
    write_number(value);
}

/* Reads the next number of a line, in hexadecimal; returns 0 where there is none. */
static int read_number(const char **line, uint32_t *value) {
    const char *at = *line;
    int digits = 0;
    while (*at == ' ') {
        at++;
    }
    for (*value = 0; *at && *at != ' '; at++, digits++) {
        const char c = *at;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || digits == 8) {
            return 0;
        }
        *value = *value << 4 | (uint32_t)digit;
    }
    *line = at;
    return digits > 0;
}

/* Tells whether a line begins with a word, and steps over it. */
static int begins(const char **line, const char *word) {
    const char *at = *line;
    while (*word && *at == *word) {
        at++;
        word++;
    }
    if (*word || (*at && *at != ' ')) {
        return 0;
    }
    *line = at;
    return 1;
}

static uint32_t bits_of(const float *value) {
    union {
        float number;
        uint32_t bits;
    } both = {.number = *value};
    return both.bits;
}

static int put(const char *line) {
    uint32_t place, word, sum = 0;
    if (!read_number(&line, &place)) {
        return 0;
    }
    while (read_number(&line, &word)) {
        if (place >= CASE_INPUT_WORDS) {
            return 0;
        }
        given[place++] = word;
        sum += word;
    }
    device_write("ok");
    write_next(sum);
    device_write("\n");
    return *line == 0;
}

static int run(const char *line) {
    static const uint32_t places[] = CASE_PLACES;
    const void *inputs[CASE_INPUTS];
    float *outputs[CASE_OUTPUTS];
    int32_t sizes[CASE_SIZES + 1] = {0};
    uint32_t word, sum = 0;
    for (int i = 0; i < CASE_SIZES; i++) {
        if (!read_number(&line, &word)) {
            return 0;
        }
        sizes[i] = (int32_t)word;
    }
    for (int i = 0; i < CASE_INPUTS; i++) {
        inputs[i] = given + places[i];
    }
    for (int i = 0; i < CASE_OUTPUTS; i++) {
        outputs[i] = made + places[CASE_INPUTS + i];
    }
    const uint64_t before = device_clock();
    const int error = CASE_RUN;
    const uint64_t after = device_clock();
    device_write("made");
    write_next((uint64_t)(uint32_t)error);
    write_next(after - before);
    for (int i = 0; i < CASE_OUTPUT_WORDS; i++) {
        const uint32_t bits = bits_of(made + i);
        sum += bits;
        write_next(bits);
    }
    write_next(sum);
    device_write("\n");
    return 1;
}

int selftest(const char *line) {
    if (begins(&line, "hello")) {
        device_write("gatelet 1 " CASE_SOURCE);
        write_next(CASE_STEPS);
        write_next(CASE_INPUT_WORDS);
        write_next(CASE_OUTPUT_WORDS);
        write_next((uint64_t)(uint32_t)CASE_CHECK);
        write_next(device_loop_ticks());
        device_write("\n");
    } else if (begins(&line, "put")) {
        if (!put(line)) {
            device_write("what\n");
        }
    } else if (begins(&line, "run")) {
        if (!run(line)) {
            device_write("what\n");
        }
    } else if (begins(&line, "new")) {
        CASE_RESET;
        device_write("ok 0\n");
    } else if (begins(&line, "stack")) {
        device_write("stack");
        write_next(device_stack());
        device_write("\n");
    } else if (begins(&line, "bye")) {
        device_write("bye\n");
        return 0;
    } else {
        device_write("what\n");
    }
    return 1;
}
