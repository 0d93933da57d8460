
/* The largest magnitude of each of the $features features of '$input' that this model was calibrated for:
 * values beyond may be cut. A program that wants to know compares them with
 *     static const float range[] = $NAME;
 */
#define $NAME {$largest}
