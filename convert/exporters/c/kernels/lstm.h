/* LSTM over [B, T, F]. */
#ifndef GATELET_LSTM_H
#define GATELET_LSTM_H

#include "recurrence.h"

/* Of tanh and the logistic function. */
GATELET_KERNEL void gatelet_usual_lstm(const struct gatelet_recurrence *r);
GATELET_KERNEL void gatelet_any_lstm(const struct gatelet_recurrence *r);

#endif
