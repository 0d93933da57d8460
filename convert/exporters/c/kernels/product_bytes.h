/* The product of 8-bit weights and floats that are not rounded. */
#ifndef GATELET_PRODUCT_BYTES_H
#define GATELET_PRODUCT_BYTES_H

#include "product.h"

GATELET_KERNEL void gatelet_product_bytes(const struct gatelet_matrix *w, int32_t first,
                                          int32_t tiles, const struct gatelet_rows *rows);

#endif
