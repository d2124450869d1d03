/* plugins/cpu/tables.h: the functions behind pdk_ops, by the file that holds them. */
#pragma once

#include "plugins/cpu/backend.h"

/* weight.c */
uint64_t weight_bytes(void *self, const pdk_matrix *matrices, size_t count, int32_t use);
pdk_status weight_load(
    void *self, const pdk_matrix *matrices, size_t count, int32_t use, pdk_weight **ret_weight, pdk_error *err);
void weight_free(void *self, pdk_weight *weight);

/* rows.c */
pdk_status vector_load(void *self, const float *values, size_t count, pdk_vector **ret_vector, pdk_error *err);
void vector_free(void *self, pdk_vector *vector);
pdk_status rows_new(void *self, uint32_t max_rows, uint32_t columns, pdk_rows **ret_rows, pdk_error *err);
void rows_free(void *self, pdk_rows *rows);
void rows_read(void *self, const pdk_rows *rows, uint32_t first, uint32_t count, float *out);
void rows_write(void *self, pdk_rows *rows, uint32_t first, uint32_t count, const float *in);

/* cache.c */
uint64_t kv_block_bytes(void *self, const pdk_kv_shape *shape);
pdk_status kv_new(void *self, const pdk_kv_shape *shape, uint32_t blocks, pdk_kv **ret_kv, pdk_error *err);
void kv_free(void *self, pdk_kv *kv);

/* queue.c */
pdk_status queue_new(void *self, uint32_t max_rows, uint32_t max_ops, pdk_queue **ret_queue, pdk_error *err);
void queue_free(void *self, pdk_queue *queue);
void queue_begin(pdk_queue *queue, const pdk_batch *batch);
pdk_status queue_submit(pdk_queue *queue, pdk_error *err);
pdk_status queue_wait(pdk_queue *queue, pdk_error *err);
void queue_embed(pdk_queue *queue, const pdk_embed *op);
void queue_norm(pdk_queue *queue, const pdk_norm *op);
void queue_linear(pdk_queue *queue, const pdk_linear *op);
void queue_rope_kv(pdk_queue *queue, const pdk_rope_kv *op);
void queue_attention(pdk_queue *queue, const pdk_attention *op);
void queue_head(pdk_queue *queue, const pdk_head *op);
void queue_sample(pdk_queue *queue, const pdk_sample *op);
void queue_kv_copy(pdk_queue *queue, pdk_kv *kv, uint32_t from_block, uint32_t to_block);
void queue_route(pdk_queue *queue, const pdk_route *op);
void queue_experts_up(pdk_queue *queue, const pdk_experts_up *op);
void queue_experts_down(pdk_queue *queue, const pdk_experts_down *op);
void queue_latent_kv(pdk_queue *queue, const pdk_latent_kv *op);
void queue_latent_attention(pdk_queue *queue, const pdk_latent_attention *op);

/* gemm.c */
pdk_status cpu_gemm(void *self, const pdk_gemm *op, pdk_error *err);
