/* ATmega2560 under simavr, which gives a program no input: the host's lines are in the flash. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>

#include "board.h"
#include "script.h"

extern unsigned char __heap_start[];

static volatile uint16_t wraps;
static uint16_t place;

ISR(TIMER1_OVF_vect) { wraps++; }

static int read_some(char *to, int most) {
    int count = 0;
    while (count < most && place < sizeof script) {
        to[count++] = (char)pgm_read_byte(script + place++);
    }
    return count;
}

void device_write(const char *text) {
    for (; *text; text++) {
        while (!(UCSR0A & (1 << UDRE0))) {
        }
        UDR0 = (uint8_t)*text;
    }
}

uint64_t device_clock(void) {
    cli();
    const uint16_t ticks = TCNT1;
    uint16_t high = wraps;
    if ((TIFR1 & (1 << TOV1)) && ticks < 32768) {
        high++;
    }
    sei();
    return (uint64_t)high << 16 | ticks;
}

uint64_t device_loop_ticks(void) { return 1; }
uint32_t device_stack(void) {
    return painted_over(__heap_start, (const unsigned char *)RAMEND + 1);
}

int main(void) {
    UBRR0 = 0;
    UCSR0B = 1 << TXEN0;
    TIMSK1 = 1 << TOIE1;
    TCCR1B = 1 << CS10;
    sei();
    unsigned char here;
    paint(__heap_start, &here);
    (void)serve();
    cli();
    sleep_mode();
    for (;;) {
    }
}
