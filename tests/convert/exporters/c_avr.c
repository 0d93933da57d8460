/* Runs a row of a model on an ATmega2560, step by step, and writes the bits of its score. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>
#include <string.h>

#include "model.h"
#include "row.h"

static _Alignas(4) unsigned char scratch[M_STEP_SCRATCH_BYTES(1, 1)], state[M_STATE_BYTES(1)];

static void put(char letter) {
    while (!(UCSR0A & (1 << UDRE0))) {
    }
    UDR0 = (uint8_t)letter;
}

int main(void) {
    static float score;
    uint32_t bits;
    int error = m_check(weights, sizeof weights);
    UCSR0B = 1 << TXEN0;
    m_reset(state, 1);
    for (int t = 0; t < TIMESTEPS; t++) {
        error |= m_step(weights, row + t * FEATURES, 1, 1, &score, state, scratch);
    }
    memcpy(&bits, &score, 4);
    put('=');
    for (int8_t shift = 28; shift >= 0; shift -= 4) {
        put("0123456789abcdef"[bits >> shift & 15]);
    }
    put(error ? '!' : '.');
    put('\n');
    cli();
    sleep_mode(); /* which ends the simulator */
    return 0;
}
