/* One variable of every public struct, so that abidiff has something to compare between releases: headers alone have no
 * ABI. */
#include <paddock/compute.h>
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/draft/ops.h>
#include <paddock/draft/options.h>
#include <paddock/draft/request.h>
#include <paddock/runtime.h>

#define PROBE(type)                            \
    extern PDK_EXPORT const type probe_##type; \
    const type probe_##type = {0}

PROBE(pdk_error);
PROBE(pdk_string);
PROBE(pdk_runtime);
PROBE(pdk_compute);
PROBE(pdk_compute_config);
PROBE(pdk_generate);
PROBE(pdk_tokenize);
PROBE(pdk_metric);
PROBE(pdk_host);
PROBE(pdk_host_compute);
PROBE(pdk_model);
PROBE(pdk_model_spec);
PROBE(pdk_model_info);
PROBE(pdk_options);
PROBE(pdk_option);
PROBE(pdk_sampling);
PROBE(pdk_message);
PROBE(pdk_bias);
PROBE(pdk_request);
PROBE(pdk_logprob);
PROBE(pdk_part);
PROBE(pdk_matrix);
PROBE(pdk_kv_shape);
PROBE(pdk_batch);
PROBE(pdk_embed);
PROBE(pdk_norm);
PROBE(pdk_linear);
PROBE(pdk_rope_kv);
PROBE(pdk_attention);
PROBE(pdk_head);
PROBE(pdk_token_count);
PROBE(pdk_sample_row);
PROBE(pdk_sample);
PROBE(pdk_gemm);
PROBE(pdk_ops);
