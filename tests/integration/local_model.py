"""A program for .venvs/llama: writes a tiny random model and serves it with llama.cpp's own server.

Prints the server's address, and serves until its standard input is closed: so it never outlives who started it.

    .venvs/llama/bin/python tests/integration/local_model.py model.gguf

What the model says has no meaning, but what it does is laid into its weights, for any random numbers:

* it says the same sentence over and over until it is stopped, and takes the nearest way out of wherever a grammar
  leaves it no word of it;
* where it is offered tools it calls one, and the server's grammar makes the call a proper one;
* where the call is answered it talks again.

Requests are computed in milliseconds, and a text that is too long is shifted: a stream nobody stops has no end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import gguf
import numpy
import xllamacpp

SLOT_TOKENS: Final = 1024
SLOTS: Final = 2
WIDTH: Final = 64
HEADS: Final = 4
FEED_FORWARD: Final = 128
BLOCKS: Final = 2
SEED: Final = 20261125

END: Final = 2
"""The token that ends a text: the third, as the vocabulary puts it."""
CONTROL_TOKENS: Final = ["<unk>", "<s>", "</s>"]
BYTES: Final = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS: Final = ["▁", *(chr(code) for code in range(33, 127))]
TALK: Final = (
    "the toll house by road has one gate and two lamps, over a stone bridge where bread or wine from every market "
    "comes in: straße, naïve, 東京, крепость, 🚪."
)
"""What it says, over and over, beginning anywhere. No word comes twice."""
WORDS: Final = [f"▁{word}" for word in TALK.split()]
CALL_NOW: Final = "<call_now>"
CALL: Final = "<tool_call>"
CALL_END: Final = "</tool_call>"
MARKS: Final = [CALL_NOW, CALL, CALL_END]
VOCABULARY: Final = [*CONTROL_TOKENS, *BYTES, *LETTERS, *WORDS, *MARKS]

URGE: Final = 0
"""The place in a vector that only CALL_NOW fills, and that only CALL listens to."""
CONSTANT: Final = 1
"""The place in a vector that all tokens fill alike, so that the two ends have a logit of their own."""

TEMPLATE: Final = """
{%- if tools %}{{ 'tools: ' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '\\n' }}{% endif %}
{%- for message in messages %}
{{- message.role + ': ' }}{% if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- 'assistant:' }}
{%- if tools and messages[-1].role != 'tool' %}{{ '<call_now>' }}{% endif %}
{%- endif %}"""


def write_model(path: Path) -> None:
    """A model of the llama architecture, half a megabyte of it."""
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer)
    _write_tokenizer(writer)
    _write_weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_shape(writer: gguf.GGUFWriter) -> None:
    writer.add_context_length(SLOT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(VOCABULARY))


def _write_tokenizer(writer: gguf.GGUFWriter) -> None:
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types(
        [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
        + [kinds.BYTE] * len(BYTES)
        + [kinds.NORMAL] * (len(LETTERS) + len(WORDS))
        + [kinds.USER_DEFINED] * len(MARKS)
    )
    writer.add_token_scores([-float(place) for place in range(len(VOCABULARY))])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)


def _write_weights(writer: gguf.GGUFWriter) -> None:
    random = numpy.random.default_rng(SEED)

    def weights(*shape: int) -> Any:
        return (random.standard_normal(shape) / shape[-1] ** 0.5).astype(numpy.float32)

    def kept_apart(*shape: int) -> Any:
        """Weights whose outcome leaves the two places that mean something as they are."""
        made = weights(*shape)
        made[[URGE, CONSTANT], :] = 0
        return made

    word = slice(VOCABULARY.index(WORDS[0]), VOCABULARY.index(WORDS[-1]) + 1)
    call_now, call, call_end = (VOCABULARY.index(mark) for mark in MARKS)
    embeddings = 16 * weights(len(VOCABULARY), WIDTH)
    embeddings[:, URGE] = 0
    embeddings[:, CONSTANT] = 4
    embeddings[call_now, URGE] = 1000
    writer.add_tensor("token_embd.weight", embeddings)

    logits = numpy.zeros_like(embeddings)
    logits[word] = numpy.roll(embeddings[word], 1, axis=0)
    logits[word, CONSTANT] = 0
    logits[[END, call_end], CONSTANT] = 0.1
    logits[call, URGE] = 100
    writer.add_tensor("output.weight", logits)
    ones = numpy.ones(WIDTH, numpy.float32)
    writer.add_tensor("output_norm.weight", ones)

    for block in range(BLOCKS):
        name = f"blk.{block}"
        writer.add_tensor(f"{name}.attn_norm.weight", ones)
        for part in "qkv":
            writer.add_tensor(f"{name}.attn_{part}.weight", weights(WIDTH, WIDTH))
        writer.add_tensor(f"{name}.attn_output.weight", kept_apart(WIDTH, WIDTH))
        writer.add_tensor(f"{name}.ffn_norm.weight", ones)
        writer.add_tensor(f"{name}.ffn_gate.weight", weights(FEED_FORWARD, WIDTH))
        writer.add_tensor(f"{name}.ffn_up.weight", weights(FEED_FORWARD, WIDTH))
        writer.add_tensor(f"{name}.ffn_down.weight", kept_apart(WIDTH, FEED_FORWARD))


def serve(path: Path) -> xllamacpp.Server:
    """llama.cpp's server on a free port of the loopback, in threads of its own."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = SLOTS
    settings.n_ctx = SLOT_TOKENS * SLOTS
    settings.kv_unified = False
    settings.ctx_shift = True
    settings.endpoint_slots = True
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    settings.cpuparams.n_threads = 1
    settings.sampling.temp = 0.0
    return xllamacpp.Server(settings)


def main() -> None:
    path = Path(sys.argv[1])
    write_model(path)
    server = serve(path)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
