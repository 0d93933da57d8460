/* LSTM over [B, T, F]. */
#ifndef GATELET_LSTM_H
#define GATELET_LSTM_H

#include "recurrence.h"

GATELET_KERNEL void gatelet_lstm(const struct gatelet_recurrence *r);

#endif
