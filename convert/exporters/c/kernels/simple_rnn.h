/* SimpleRNN over [B, T, F]. */
#ifndef GATELET_SIMPLE_RNN_H
#define GATELET_SIMPLE_RNN_H

#include "recurrence.h"

GATELET_KERNEL void gatelet_simple_rnn(const struct gatelet_recurrence *r);

#endif
