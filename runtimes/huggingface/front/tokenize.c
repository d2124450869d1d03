/* See the header. */
#include "config.h"

#include "runtimes/huggingface/front/tokenize.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/front/prompt.h"

#include <stdlib.h>

static pdk_status send(const struct served *served, pdk_response *response, const pdk_part *part, pdk_error *err)
{
    pdk_status status = served->host->part_send(response, part);
    return status == PDK_OK || status == PDK_FULL ? PDK_OK : pdk_error_set(err, status, NULL, "the client left");
}

static pdk_status to_tokens(
    const struct served *served, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    PDK_CLEANUP(prompt_done) struct prompt prompt = {0};
    pdk_status status = prompt_read(served, request, &prompt, err);
    if (status != PDK_OK)
        return status;
    pdk_part part = {.size = sizeof part,
        .token_ids = prompt.tokens.ids,
        .token_count = prompt.tokens.count,
        .prompt_tokens = (uint32_t)prompt.tokens.count,
        .text = {"", 0}};
    PDK_AUTO_FREE pdk_string *pieces = NULL;
    if ((request->flags & PDK_FLAG_TOKEN_STRINGS) != 0 && prompt.tokens.count > 0) {
        pieces = calloc(prompt.tokens.count, sizeof *pieces);
        if (pieces == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %zu pieces", prompt.tokens.count);
        for (size_t i = 0; i < prompt.tokens.count; i++)
            pieces[i] = tokenizer_piece(served->tokenizer, prompt.tokens.ids[i]);
        part.pieces = pieces;
        part.piece_count = prompt.tokens.count;
    }
    return send(served, response, &part, err);
}

static pdk_status to_text(
    const struct served *served, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status =
        tokenizer_decode(served->tokenizer, request->token_ids, request->token_count, false, &text, err);
    if (status != PDK_OK)
        return status;
    pdk_part part = {.size = sizeof part, .text = {text.data != NULL ? text.data : "", text.length}};
    return send(served, response, &part, err);
}

static pdk_status to_info(const struct served *served, pdk_response *response, pdk_error *err)
{
    if (served->tokenizer_info.length == 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "--enable-tokenizer-info-endpoint is not set");
    return send(served, response, &(pdk_part){.size = sizeof(pdk_part), .text = served->tokenizer_info}, err);
}

pdk_status tokenize_answer(
    const struct served *served, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    if (served->tokenizer == NULL)
        return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "this model has no tokenizer");
    if (request->kind == PDK_KIND_TOKENIZER_INFO)
        return to_info(served, response, err);
    return request->kind == PDK_KIND_DETOKENIZE ? to_text(served, request, response, err)
                                                : to_tokens(served, request, response, err);
}
