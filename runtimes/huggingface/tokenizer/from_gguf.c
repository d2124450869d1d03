/* A GGUF's vocabulary, by the kind that it names: the same parts as a tokenizer.json has, put together from a few keys.
 */
#include "config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/gguf_words.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* tokenizer.ggml.token_type */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4 };

static const char tokens_key[] = "tokenizer.ggml.tokens";

/* What a part's loader reads, from a text of ours. */
typedef pdk_status part_load(struct tokenizer *tokenizer, const struct json *json, pdk_error *err);

static pdk_status load_constant(struct tokenizer *tokenizer, part_load *load, const char *text, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(text, strlen(text), &json_limits_default, &document, err);
    return status == PDK_OK ? load(tokenizer, json_root(document), err) : status;
}

static pdk_status take_normalizers(struct tokenizer *tokenizer, const struct json *json, pdk_error *err)
{
    return normalizers_load(&tokenizer->normalizers, json, err);
}

static pdk_status take_words(struct tokenizer *tokenizer, const struct json *json, pdk_error *err)
{
    return word_steps_load(&tokenizer->words, json, err);
}

static pdk_status take_decoders(struct tokenizer *tokenizer, const struct json *json, pdk_error *err)
{
    return decoders_load(&tokenizer->decoders, json, err);
}

/* An id of a token under `key`, or -1. */
static pdk_status take_id(
    const struct gguf *gguf, const struct tokenizer *tokenizer, const char *key, int64_t *ret_id, pdk_error *err)
{
    uint64_t id;
    *ret_id = -1;
    if (!gguf_uint(gguf, key, &id))
        return PDK_OK;
    if (id >= tokenizer->vocabulary.size)
        return pdk_error_set(
            err, PDK_INVALID, key, "%" PRIu64 " is no token; there are %zu", id, tokenizer->vocabulary.size);
    *ret_id = (int64_t)id;
    return PDK_OK;
}

static int64_t type_of(const struct gguf_array *types, size_t id)
{
    return types == NULL ? TYPE_NORMAL : gguf_array_int(types, id);
}

static bool is_phi3(const struct gguf *gguf)
{
    pdk_string name;
    return gguf_string(gguf, "general.name", &name) &&
           (memmem(name.data, name.length, "phi-3", 5) != NULL || memmem(name.data, name.length, "Phi-3", 5) != NULL ||
               memmem(name.data, name.length, "phi3", 4) != NULL || memmem(name.data, name.length, "Phi3", 4) != NULL);
}

/* Phi 3's markers swallow the white space behind them; the file does not say so, only the model's name does. */
static bool takes_white_behind(pdk_string text)
{
    static const char *const others[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strlen(others[i]) == text.length && memcmp(others[i], text.data, text.length) == 0)
            return false;
    }
    return true;
}

static pdk_status load_tokens(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    size_t count = 0, type_count = 0;
    const struct gguf_array *tokens = gguf_array(gguf, tokens_key, GGUF_STRING, &count);
    const struct gguf_array *types = gguf_array(gguf, "tokenizer.ggml.token_type", GGUF_I32, &type_count);
    bool phi3 = is_phi3(gguf);
    if (tokens == NULL || count == 0)
        return pdk_error_set(err, PDK_INVALID, tokens_key, "the file has no list of tokens");
    if (types != NULL && type_count != count)
        return pdk_error_set(
            err, PDK_INVALID, "tokenizer.ggml.token_type", "%zu types for %zu tokens", type_count, count);
    for (size_t id = 0; id < count; id++) {
        pdk_string text = gguf_array_string(tokens, id);
        int64_t type = type_of(types, id);
        bool special = type == TYPE_CONTROL || type == TYPE_UNKNOWN;
        struct added_token added = {.special = special, .right = phi3 && special && takes_white_behind(text)};
        pdk_status status =
            special || type == TYPE_USER_DEFINED
                ? tokenizer_add_token(tokenizer, (int64_t)id, text.data, text.length, &added, false, err)
                : vocabulary_add(&tokenizer->vocabulary, (int64_t)id, text.data, text.length, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status load_merges(
    struct bpe *bpe, const struct vocabulary *vocabulary, const struct gguf *gguf, pdk_error *err)
{
    size_t count = 0;
    const struct gguf_array *merges = gguf_array(gguf, "tokenizer.ggml.merges", GGUF_STRING, &count);
    if (merges == NULL)
        return pdk_error_set(err, PDK_INVALID, "tokenizer.ggml.merges", "the file has no list of merges");
    pdk_status status = bpe_init(bpe, vocabulary, count, true, err);
    for (size_t i = 0; i < count && status == PDK_OK; i++) {
        pdk_string merge = gguf_array_string(merges, i);
        status = bpe_add_merge_line(bpe, (uint32_t)i, merge.data, merge.length, err);
    }
    return status;
}

static pdk_status load_gpt2(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    pdk_string name = {"default", 7};
    gguf_string(gguf, "tokenizer.ggml.pre", &name);
    const struct gguf_words *words = gguf_words_find(name.data, name.length);
    if (words == NULL)
        return pdk_error_set(err, PDK_UNSUPPORTED, "tokenizer.ggml.pre", "pre-tokenizer '%.*s' is not supported",
            (int)(name.length < 64 ? name.length : 64), name.data);
    pdk_status status = load_tokens(tokenizer, gguf, err);
    for (size_t i = 0; status == PDK_OK && i < GGUF_WORDS_MAX && words->patterns[i] != NULL; i++)
        status = word_steps_isolate(&tokenizer->words, words->patterns[i], err);
    tokenizer->words.bytes = true;
    if (status == PDK_OK && words->spelled_digits)
        status = word_steps_spelled_digits(&tokenizer->words, err);
    if (status == PDK_OK && words->compose)
        status = load_constant(tokenizer, take_normalizers, "{\"type\":\"NFC\"}", err);
    if (status == PDK_OK)
        status = load_merges(&tokenizer->model.bpe, &tokenizer->vocabulary, gguf, err);
    tokenizer->model.bpe.whole_words = words->whole_words;
    return status == PDK_OK ? load_constant(tokenizer, take_decoders, "{\"type\":\"ByteLevel\"}", err) : status;
}

struct scored {
    double score;
    uint32_t id;
};

static int compare_scored(const void *a, const void *b)
{
    double left = ((const struct scored *)a)->score, right = ((const struct scored *)b)->score;
    return (left < right) - (left > right);
}

/* Every way to put a piece together from two: SentencePiece joins what makes the piece with the best score. */
static pdk_status put_splits(struct bpe *bpe, uint32_t id, uint32_t rank, pdk_error *err)
{
    pdk_string piece = vocabulary_piece(bpe->vocabulary, id);
    for (size_t i = 1; i < piece.length; i++) {
        if (((unsigned char)piece.data[i] & 0xC0) == 0x80)
            continue;
        int64_t left = vocabulary_find(bpe->vocabulary, piece.data, i);
        int64_t right = left < 0 ? -1 : vocabulary_find(bpe->vocabulary, piece.data + i, piece.length - i);
        pdk_status status = right < 0 ? PDK_OK : bpe_put_merge(bpe, rank, (uint32_t)left, (uint32_t)right, id, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status load_scores(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    size_t count = 0, size = tokenizer->vocabulary.size, kept = 0, type_count = 0;
    const struct gguf_array *scores = gguf_array(gguf, "tokenizer.ggml.scores", GGUF_F32, &count);
    const struct gguf_array *types = gguf_array(gguf, "tokenizer.ggml.token_type", GGUF_I32, &type_count);
    if (scores == NULL || count != size)
        return pdk_error_set(err, PDK_INVALID, "tokenizer.ggml.scores", "%zu scores for %zu tokens", count, size);
    PDK_AUTO_FREE struct scored *sorted = calloc(size, sizeof *sorted);
    if (sorted == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokenizer.ggml.scores", "out of memory");
    for (size_t id = 0; id < size; id++) {
        double score = gguf_array_double(scores, id);
        if (!isfinite(score))
            return pdk_error_set(err, PDK_INVALID, "tokenizer.ggml.scores", "the score of token %zu is no number", id);
        int64_t type = type_of(types, id);
        if (type == TYPE_NORMAL || type == TYPE_USER_DEFINED)
            sorted[kept++] = (struct scored){score, (uint32_t)id};
    }
    qsort(sorted, kept, sizeof *sorted, compare_scored);
    pdk_status status = bpe_init(&tokenizer->model.bpe, &tokenizer->vocabulary, size * 2, false, err);
    uint32_t rank = 0;
    for (size_t i = 0; i < kept && status == PDK_OK; i++) {
        rank = i > 0 && sorted[i].score == sorted[i - 1].score ? rank : (uint32_t)i; /* equal ones from the left */
        status = put_splits(&tokenizer->model.bpe, sorted[i].id, rank, err);
    }
    return status;
}

static pdk_status load_llama(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    static const char replace[] = "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}";
    static const char decoders[] =
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},"
        "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}";
    bool prefix = true, squeeze = false;
    gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix);
    gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &squeeze);
    if (squeeze)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "tokenizer.ggml.remove_extra_whitespaces", "is not supported with llama");
    pdk_status status = load_tokens(tokenizer, gguf, err);
    if (status == PDK_OK && prefix)
        status = load_constant(tokenizer, take_normalizers, "{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"}", err);
    if (status == PDK_OK)
        status = load_constant(tokenizer, take_normalizers, replace, err);
    if (status == PDK_OK)
        status = load_scores(tokenizer, gguf, err);
    if (status == PDK_OK)
        status = load_constant(tokenizer, take_decoders, decoders, err);
    if (status == PDK_OK && prefix)
        status = load_constant(
            tokenizer, take_decoders, "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}", err);
    int64_t unknown = -1;
    if (status == PDK_OK)
        status = take_id(gguf, tokenizer, "tokenizer.ggml.unknown_token_id", &unknown, err);
    tokenizer->model.bpe.byte_fallback = tokenizer->model.bpe.fuse_unknown = true;
    tokenizer->model.bpe.unknown = unknown < 0 ? BPE_NONE : (uint32_t)unknown;
    return status;
}

/* Words start with U+2581 here, and parts of words with nothing. */
static pdk_status load_bert(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    static const char decoders[] =
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},"
        "\"content\":\" \"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}";
    int64_t unknown = -1;
    bool lowercase = true;
    gguf_bool(gguf, "tokenizer.ggml.lowercase", &lowercase);
    pdk_status status = load_tokens(tokenizer, gguf, err);
    tokenizer->model.kind = MODEL_WORDPIECE;
    if (status == PDK_OK)
        status = take_id(gguf, tokenizer, "tokenizer.ggml.unknown_token_id", &unknown, err);
    if (status == PDK_OK && unknown < 0)
        status = pdk_error_set(err, PDK_INVALID, "tokenizer.ggml.unknown_token_id", "is missing");
    if (status == PDK_OK)
        status = wordpiece_init(
            &tokenizer->model.wordpiece, &tokenizer->vocabulary, (uint32_t)unknown, "\xE2\x96\x81", "", err);
    if (status == PDK_OK)
        status = load_constant(tokenizer, take_normalizers,
            lowercase ? "{\"type\":\"BertNormalizer\"}" : "{\"type\":\"BertNormalizer\",\"lowercase\":false}", err);
    if (status == PDK_OK)
        status = load_constant(tokenizer, take_words, "{\"type\":\"BertPreTokenizer\"}", err);
    return status == PDK_OK ? load_constant(tokenizer, take_decoders, decoders, err) : status;
}

static const struct {
    const char *name;
    enum model_kind kind;
    pdk_status (*load)(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err);
    bool bos, eos; /* put around a text where the file does not say */
} kinds[] = {
    {"bert", MODEL_WORDPIECE, load_bert, true, true},
    {"gpt2", MODEL_BPE, load_gpt2, false, false},
    {"llama", MODEL_BPE, load_llama, true, false},
};

/* The beginning and the end that a text gets; BERT has names of its own for them. */
static pdk_status load_frame(struct tokenizer *tokenizer, const struct gguf *gguf, bool bos, bool eos, pdk_error *err)
{
    int64_t cls = -1, sep = -1;
    pdk_status status = take_id(gguf, tokenizer, "tokenizer.ggml.bos_token_id", &tokenizer->bos, err);
    if (status == PDK_OK)
        status = take_id(gguf, tokenizer, "tokenizer.ggml.eos_token_id", &tokenizer->eos, err);
    if (status == PDK_OK)
        status = take_id(gguf, tokenizer, "tokenizer.ggml.cls_token_id", &cls, err);
    if (status == PDK_OK)
        status =
            take_id(gguf, tokenizer, "tokenizer.ggml.seperator_token_id", &sep, err); /* written so in the format */
    if (status != PDK_OK)
        return status;
    bool bert = tokenizer->model.kind == MODEL_WORDPIECE;
    int64_t first = bert && cls >= 0 ? cls : tokenizer->bos, last = bert && sep >= 0 ? sep : tokenizer->eos;
    gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &bos);
    gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &eos);
    uint32_t before = (uint32_t)first, behind = (uint32_t)last;
    if (bos || eos)
        frame_set_pair(&tokenizer->frame, bos ? first : -1, eos ? last : -1, !bert, bert);
    return frame_add(&tokenizer->frame, &before, bos && first >= 0, &behind, eos && last >= 0, err);
}

static pdk_status load_kind(struct tokenizer *tokenizer, const struct gguf *gguf, pdk_error *err)
{
    pdk_string model = {"", 0}, pre = {"", 0};
    gguf_string(gguf, "tokenizer.ggml.model", &model);
    gguf_string(gguf, "tokenizer.ggml.pre", &pre);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].name) != model.length || memcmp(kinds[i].name, model.data, model.length) != 0)
            continue;
        pdk_status status = kinds[i].load(tokenizer, gguf, err);
        const struct gguf_words *words = kinds[i].kind == MODEL_BPE ? gguf_words_find(pre.data, pre.length) : NULL;
        bool bos = kinds[i].bos || (words != NULL && words->bos);
        return status == PDK_OK ? load_frame(tokenizer, gguf, bos, kinds[i].eos, err) : status;
    }
    return pdk_error_set(err, PDK_UNSUPPORTED, "tokenizer.ggml.model", "vocabulary of kind '%.*s' is not supported",
        (int)(model.length < 64 ? model.length : 64), model.data);
}

pdk_status tokenizer_from_gguf(const struct gguf *gguf, struct tokenizer **ret_tokenizer, pdk_error *err)
{
    PDK_CLEANUP(tokenizer_freep) struct tokenizer *tokenizer = tokenizer_new();
    pdk_string template;
    if (tokenizer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokenizer", "out of memory");
    pdk_status status = load_kind(tokenizer, gguf, err);
    if (status != PDK_OK)
        return status;
    added_tokens_ready(&tokenizer->raw);
    added_tokens_ready(&tokenizer->normalized);
    if (gguf_string(gguf, "tokenizer.chat_template", &template) && template.length != 0) {
        tokenizer->template = strndup(template.data, template.length);
        if (tokenizer->template == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "tokenizer.chat_template", "out of memory");
    }
    *ret_tokenizer = PDK_STEAL(tokenizer);
    return PDK_OK;
}
