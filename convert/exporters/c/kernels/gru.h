/* GRU over [B, T, F]. */
#ifndef GATELET_GRU_H
#define GATELET_GRU_H

#include "recurrence.h"

GATELET_KERNEL void gatelet_gru(const struct gatelet_recurrence *r);

#endif
