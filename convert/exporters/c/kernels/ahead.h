/* A step's product, and a piece of the projection of later timesteps in the same loop.
 *
 * A step reads each recurrent weight once, and where they do not fit into the first-level cache the
 * multipliers wait for them. Eight rows of inputs use each weight eight times, and wait for the
 * multipliers. In one loop both take little longer than either. Only where the registers hold the
 * sums of both: AVX-512. The sums are those of product.c, to the bit.
 */
#ifndef GATELET_AHEAD_H
#define GATELET_AHEAD_H

#include "product_block.h"

/* Timesteps, which are rows of the product. */
#define GATELET_AHEAD 8

#if GATELET_VL == 16
#define GATELET_GOES_AHEAD 1
#else
#define GATELET_GOES_AHEAD 0
#endif

/* The projection of GATELET_AHEAD timesteps. A piece is 16 columns of half the inner dimension: as
 * many steps, with a piece for each of their tiles, take all. */
struct gatelet_ahead {
    const struct gatelet_matrix *w;
    struct gatelet_rows rows;
    int32_t next, pieces; /* the first that is not done; of all */
};

#if GATELET_GOES_AHEAD

/* The next piece. `columns` is the tile of w. */
GATELET_INLINE struct gatelet_block gatelet_piece(const struct gatelet_ahead *a,
                                                  const uint32_t columns) {
    const uint32_t column = (uint32_t)a->next / 2 * GATELET_VL;
    const size_t n = (size_t)a->w->rows, half = n / 2;
    const float *w = a->w->floats + column / columns * columns * n + column % columns;
    struct gatelet_block piece = {w, columns, (int32_t)half, a->rows};
    piece.rows.z += column;
    piece.rows.start = NULL;
    if (a->next % 2 != 0) {
        piece.w += half * columns;
        piece.n = (int32_t)(n - half);
        piece.rows.x += half;
        piece.rows.start = gatelet_moved(a->rows.start, column);
    }
    return piece;
}

/* The product of b, `vectors` of one row, and the next piece. */
GATELET_INLINE void gatelet_multiply_both(const struct gatelet_block *b, const int vectors,
                                          struct gatelet_ahead *a, const uint32_t columns) {
    const struct gatelet_block piece = gatelet_piece(a, columns);
    const int32_t pairs = b->n / 2, both = pairs < piece.n ? pairs : piece.n;
    const float *w = b->w, *x = b->rows.x, *later_w = piece.w, *later_x = piece.rows.x;
    gatelet_sums total[1], later[GATELET_AHEAD];
    gatelet_clear(total, 1, vectors);
    for (size_t s = 0; s < GATELET_AHEAD; s++) {
        later[s][0] = a->next % 2 ? v_load(piece.rows.z + s * piece.rows.z_stride) : v_splat(0.0f);
    }
    for (int32_t i = 0; i < both; i++, w += 2 * b->w_stride, later_w += piece.w_stride) {
        gatelet_add(b, w, x + 2 * i, total, 1, vectors);
        gatelet_add(&piece, later_w, later_x + i, later, GATELET_AHEAD, 1);
        gatelet_add(b, w + b->w_stride, x + 2 * i + 1, total, 1, vectors);
    }
    for (int32_t i = both; i < piece.n; i++, later_w += piece.w_stride) {
        gatelet_add(&piece, later_w, later_x + i, later, GATELET_AHEAD, 1);
    }
    for (int32_t i = 2 * both; i < b->n; i++, w += b->w_stride) {
        gatelet_add(b, w, x + i, total, 1, vectors);
    }
    if (vectors > 0) {
        gatelet_put(b, total, 1, vectors);
    }
    gatelet_put(&piece, later, GATELET_AHEAD, 1);
    a->next++;
}

#endif

/* A tile of one row, and the next piece where there is one. `columns`, the tile's, is a constant
 * where it is used. */
GATELET_INLINE void gatelet_multiply_row_ahead(const struct gatelet_block *b, const int columns,
                                               struct gatelet_ahead *a) {
#if GATELET_GOES_AHEAD
    if (a->next < a->pieces) {
        gatelet_multiply_both(b, columns / GATELET_VL, a, (uint32_t)columns);
        return;
    }
#endif
    (void)a;
    gatelet_multiply_row(*b, columns);
}

/* A recurrent product, all tiles, and as many pieces. */
GATELET_INLINE void gatelet_product_ahead(const struct gatelet_matrix *u,
                                          const struct gatelet_rows *rows, const int columns,
                                          struct gatelet_ahead *a) {
    if (GATELET_SMALL || a->next == a->pieces) {
        gatelet_product(u, 0, u->tiles, rows);
        return;
    }
    struct gatelet_block b = {u->floats, (size_t)columns, u->rows, *rows};
    for (int32_t tile = 0; tile < u->tiles; tile++) {
        gatelet_multiply_row_ahead(&b, columns, a);
        gatelet_skip(&b, columns);
        b.w += (size_t)(u->rows - 1) * (size_t)columns;
    }
}

/* All pieces that are left: those of a tile that is begun, and then whole tiles. */
GATELET_INLINE void gatelet_finish(struct gatelet_ahead *a) {
#if GATELET_GOES_AHEAD
    const struct gatelet_block nothing = {NULL, 0, 0, {0}};
    const int32_t columns = a->w->tile, pieces = columns / GATELET_VL * 2;
    while (a->next % pieces != 0) {
        gatelet_multiply_both(&nothing, 0, a, (uint32_t)columns);
    }
    const int32_t tile = a->next / pieces;
    struct gatelet_rows rest = a->rows;
    rest.z += (size_t)tile * (size_t)columns;
    rest.start = gatelet_moved(rest.start, (size_t)tile * (size_t)columns);
    gatelet_product(a->w, tile, a->w->tiles - tile, &rest);
    a->next = a->pieces;
#endif
    (void)a;
}

#endif
