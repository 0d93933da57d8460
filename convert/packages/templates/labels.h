
/* Memory for arrays that these functions are given. */
#if defined(__GNUC__)
#define ${PREFIX}_ALIGNED(bytes) __attribute__((aligned(bytes)))
#elif defined(__cplusplus)
#define ${PREFIX}_ALIGNED(bytes) alignas(bytes)
#else
#define ${PREFIX}_ALIGNED(bytes) _Alignas(bytes)
#endif
