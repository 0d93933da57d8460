/* GRU over [B, T, F]. */
#ifndef GATELET_GRU_H
#define GATELET_GRU_H

#include "recurrence.h"

/* Of tanh and the logistic function, resetting after the product. */
GATELET_KERNEL void gatelet_usual_gru(const struct gatelet_recurrence *r);
GATELET_KERNEL void gatelet_any_gru(const struct gatelet_recurrence *r);
GATELET_KERNEL void gatelet_gru_reset_before(const struct gatelet_recurrence *r);

#endif
