/* A beam search as a job: each round is a generation of its own, in the place of the one before. */
#include "config.h"

#include "runtimes/huggingface/front/beam.h"
#include "runtimes/huggingface/front/job.h"

#include "core/base/clock.h"
#include "core/base/error.h"

#include <stdlib.h>

pdk_status job_beam_begin(struct job *job, uint32_t limit, pdk_error *err)
{
    const pdk_request *request = job->request;
    const pdk_sampling *sampling = &request->sampling;
    const struct sampling_model *model = &job->served->sampling;
    if ((sampling->has & PDK_HAS_PROMPT_LOGPROBS) != 0)
        return pdk_error_set(
            err, PDK_INVALID, "prompt_logprobs", "`prompt_logprobs` are not available with beam search.");
    if (request->guide.kind != PDK_GUIDE_NONE)
        return pdk_error_set(err, PDK_INVALID, "structured_outputs",
            "structured outputs are not applied with beam search; leave one out");
    if (request->produced_count > 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, "use_beam_search", "a beam search cannot be moved in the middle");
    if (limit == job->prompt.tokens.count)
        return pdk_error_set(err, PDK_INVALID, "max_tokens", "max_tokens must be at least 1 with beam search, got 0.");
    bool wants_top = (sampling->has & PDK_HAS_LOGPROBS) != 0;
    if (wants_top && sampling->logprobs > 0 && (uint32_t)sampling->logprobs > model->max_logprobs)
        return pdk_error_set(err, PDK_INVALID, "logprobs",
            "Requested sample logprobs of %d, which is greater than max allowed: %u", (int)sampling->logprobs,
            (unsigned)model->max_logprobs);
    job->arrived_us = monotonic_us();
    struct beam_spec spec = {
        .prompt = job->prompt.tokens.ids,
        .prompt_count = (uint32_t)job->prompt.tokens.count,
        .width = sampling->n > 0 ? sampling->n : 1,
        .rounds = limit - (uint32_t)job->prompt.tokens.count,
        .top = !wants_top               ? 0
               : sampling->logprobs < 0 ? UINT32_MAX
                                        : (uint32_t)sampling->logprobs,
        .length_penalty = sampling->length_penalty,
        .ends = model->eos_ids,
        .end_count = (request->flags & PDK_FLAG_IGNORE_EOS) != 0 ? 0 : model->eos_count,
    };
    return beam_new(&spec, &job->beam, err);
}

/* What a round's draws have of the request: the temperature and the seed. */
static pdk_status round_rules(struct job *job, pdk_error *err)
{
    const pdk_sampling *asked = &job->request->sampling;
    pdk_request plain = {
        .size = sizeof plain,
        .flags = PDK_FLAG_IGNORE_EOS,
        .sampling = {.size = sizeof plain.sampling,
            .has = (asked->has & (PDK_HAS_TEMPERATURE | PDK_HAS_SEED)) | PDK_HAS_LOGPROBS | PDK_HAS_TOP_P |
                   PDK_HAS_TOP_K | PDK_HAS_MIN_P | PDK_HAS_REPETITION_PENALTY | PDK_HAS_FREQUENCY_PENALTY |
                   PDK_HAS_PRESENCE_PENALTY,
            .temperature = asked->temperature,
            .seed = asked->seed,
            .top_p = 1,
            .repetition_penalty = 1,
            .n = 1},
    };
    struct sampling_rules *rules = &job->generation.rules;
    pdk_status status = rules_resolve(rules, &plain, &job->served->sampling, err);
    if (status != PDK_OK)
        return status;
    uint32_t wanted = beam_wanted(job->beam);
    rules->top_wanted = wanted < rules->vocabulary ? wanted : rules->vocabulary;
    rules->row_flags = 0; /* log probabilities of the untouched logits, whatever the model's mode */
    return PDK_OK;
}

pdk_status job_beam_round(struct job *job, uint64_t seed, bool *ret_over, pdk_error *err)
{
    const uint32_t *const *lines;
    uint32_t length, count = beam_round(job->beam, &lines, &length);
    *ret_over = count == 0;
    if (count == 0)
        return PDK_OK;
    generation_done(&job->generation);
    pdk_status status = round_rules(job, err);
    if (status != PDK_OK)
        return status;
    const pdk_request *request = job->request;
    struct generation_spec spec = {
        .prompts = lines,
        .prompt_count = length,
        .limit = length + 1,
        .choices = count,
        .seed = job->generation.rules.seeded ? job->generation.rules.seed : seed,
        .tenant = request->tenant,
        .priority = request->priority,
        .salt = engine_salt(job->served->engine, request->tenant, request->adapter, request->cache_salt),
    };
    return generation_init(&job->generation, &spec, err);
}

pdk_status job_beam_take(struct job *job, pdk_error *err)
{
    struct generation *generation = &job->generation;
    uint32_t count = generation->choice_count, at = generation->prompt_count;
    uint32_t *tokens = calloc(count, sizeof *tokens);
    struct drawn *drawn = calloc(count, sizeof *drawn);
    pdk_status status = PDK_OK;
    if (tokens == NULL || drawn == NULL)
        status = pdk_error_set(err, PDK_NO_MEMORY, "n", "no memory for the beams");
    for (uint32_t i = 0; i < count && status == PDK_OK; i++) {
        const struct choice *choice = &generation->choices[i];
        if (choice->sequence.total != at + 1)
            status = pdk_error_set(err, PDK_INTERNAL, NULL, "a beam's round gave no token");
        tokens[i] = choice->sequence.tokens[at];
        drawn[i] = choice->results[at % RESULTS_HELD];
    }
    if (status == PDK_OK)
        status = beam_take(job->beam, tokens, drawn, err);
    free(tokens);
    free(drawn);
    if (job->last_token_us == 0)
        job->last_token_us = monotonic_us();
    return status;
}

pdk_status job_beam_part(struct job *job, struct pending *pending, pdk_part *part, pdk_error *err)
{
    const struct served *served = job->served;
    const pdk_request *request = job->request;
    struct beam_answer answer = beam_answer(job->beam, job->beams_sent);
    bool wants_reports = (request->sampling.has & PDK_HAS_LOGPROBS) != 0;
    struct detokenizer *detokenizer = NULL;
    pdk_status status = PDK_OK;
    if (served->tokenizer != NULL)
        status = detokenizer_new(served->tokenizer, job->prompt.tokens.ids, job->prompt.tokens.count,
            (request->flags & PDK_FLAG_KEEP_SPECIAL) == 0, (request->flags & PDK_FLAG_NO_SPACES_BETWEEN) == 0,
            &detokenizer, err);
    for (uint32_t i = 0; i < answer.count && status == PDK_OK; i++) {
        struct drawn report = beam_report(job->beam, i);
        status = pending_token(pending, detokenizer, answer.tokens[i], wants_reports ? &report : NULL, err);
        if (status == PDK_OK && detokenizer != NULL)
            status = detokenizer_next(detokenizer, answer.tokens[i], &pending->text, err);
    }
    detokenizer_free(detokenizer);
    if (status != PDK_OK)
        return status;
    job->beam_tokens += answer.count;
    *part = (pdk_part){
        .size = sizeof *part,
        .choice = job->beams_sent,
        .finish = answer.end >= 0 ? PDK_FINISH_STOP : PDK_FINISH_LENGTH,
        .stop_kind = answer.end >= 0 ? PDK_STOP_TOKEN : PDK_STOP_NONE,
        .stop_token = answer.end >= 0 ? (uint32_t)answer.end : 0,
        .prompt_tokens = (uint32_t)job->prompt.tokens.count,
        .completion_tokens = answer.count,
    };
    pending_fill(pending, part);
    return PDK_OK;
}
