/* The numbers that the exporter knows too: how weights are packed, what memory a call needs.
 *
 * convert/exporters/c/layout.py has the same ones, and every generated file asserts that they are.
 */
#ifndef GATELET_LAYOUT_H
#define GATELET_LAYOUT_H

/* What weights, and a vocabulary, begin with: a magic of 8 bytes and a digest of the rest. */
#define GATELET_HEAD_BYTES 24

/* The units of a tile: the lanes of the widest vector, AVX-512's. Matrices have whole tiles. */
#define GATELET_LANES 16
/* The most columns of a tile: as many sums as one row's registers hold, four vectors of AVX-512. */
#define GATELET_LARGEST_TILE 64

/* The integers that a row of activations is rounded to: 14 bits and a sign. */
#define GATELET_ACTIVATION_LIMIT 16383
/* Activations that are rounded at a time: so many products never overflow a sum of 32 bits. */
#define GATELET_INT8_CHUNK 256
/* Numbers of 4 bits that lie together, two in a byte, and what is added to each. */
#define GATELET_NIBBLES 64
#define GATELET_NIBBLE_ZERO 8

/* Timesteps whose inputs are projected at a time: the kernel is read a sixteenth as often as the
 * recurrent one, and at 64 units of an LSTM they take 16 KB of work memory. */
#define GATELET_STEPS 16
/* What a walk over time works in: h, c, the next ones and y of all rows. */
#define GATELET_WALK_STATES 5
/* The same of a ConvLSTM2D: h, c, y, two gates, and twice all four gates. */
#define GATELET_CONV_LSTM_STATES 13

/* Rows of a matrix that a Dense layer, and a convolution, work on at a time: product.c's most. */
#define GATELET_DENSE_ROWS 4
#define GATELET_CONVOLUTION_PLACES 4

/* The logistic function at 0, 1/32, ... 16, and e^-x at 0, 1/64, ... 16, of scale 2^-15. */
#define GATELET_TAIL_ENTRIES 513
#define GATELET_EXP_ENTRIES 1025

/* The most sizes of a value, its rows among them; the largest of those that the caller decides. */
#define GATELET_MAX_RANK 8
#define GATELET_LARGEST_SIZE 1048576

/* Pieces of scratch memory begin on whole lines of a cache, 64 bytes; where memory counts more, on
 * words that are read two at a time. */
#define GATELET_SCRATCH_FLOATS 16
#define GATELET_SMALL_FLOATS 2

#endif
