"""Texts: what is learned, drawn and read back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import InputError, SettingError
from curate.generators import DrawRequest, Examples, load_model, weights_file
from curate.generators.causal_lm import CausalLanguage
from curate.generators.language.causal_settings import LanguageSettings
from curate.generators.language.corpus import IGNORED, pad_rows
from curate.generators.language.sampling import Limits, choose
from curate.generators.language.tokens import END, LABEL, load_codec, train_codec
from curate.synthesis.likelihood import bits_per_byte_of

from .conftest import ONE_THREAD

TINY = LanguageSettings(
    vocabulary=300, width=32, layers=2, heads=2, block=32, steps=60, batch_size=16, learning_rate=1e-2, draw_batch=8
)
CODEC = train_codec(["good night", "gute Nacht", "おやすみ"] * 3, ["a", "b"], kind="bpe", size=300)
PACKED = TINY.changed({"tokenizer": "characters", "pack": True, "block": 16, "steps": 20, "draw_prompt": "\n", "max_tokens": 9})


@pytest.fixture(scope="module")
def trained(greetings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "greetings"
    report = CausalLanguage(TINY).fit(*greetings, folder, options=ONE_THREAD)
    return folder, report, load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A pretrained model as others save it: a tiny Llama and a tokenizer with a start and an end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bases") / "base"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(["<s>", "</s>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=264,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        initializer_range=0.3,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def drawn_by(model, requests, chosen):
    return {drawn.index: (drawn.text, drawn.extra) for drawn in model.draw(requests, chosen)}


def test_the_loss_goes_down_and_bits_per_byte_are_reported(trained):
    _, report, _ = trained
    assert report.curve[-1].loss < 0.5 * report.curve[0].loss
    assert 0 < report.metrics["validation_bits_per_byte"] < 2


def test_the_label_decides_what_is_drawn(trained):
    model = trained[2]
    requests = [DrawRequest.of_label(label, seed) for seed, label in enumerate(["morning", "night"] * 8)]
    own = {"morning": ("sun",), "night": ("moon",)}
    for drawn in model.draw(requests, model.draw_settings({"temperature": 0.5})):
        assert drawn.text is not None and drawn.text.endswith(own[drawn.request.label])
        assert drawn.extra["stopped"] == "end"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_draw_does_not_depend_on_what_else_is_drawn(trained, threads):
    model = trained[2]
    chosen = model.draw_settings({"threads": threads, "temperature": 2.0, "max_tokens": 6})
    requests = [DrawRequest.of_label((*model.labels, None)[i % 3], i) for i in range(21)]
    alone = drawn_by(model, requests, chosen)
    random = np.random.default_rng(threads)
    for size in (1, 13, 21):
        rows = random.permutation(21)[:size]
        for index, drawn in drawn_by(model, [requests[i] for i in rows], chosen).items():
            assert drawn == alone[rows[index]]
    assert len({text for text, _ in alone.values()}) > 10


def test_a_model_read_twice_is_the_same_model(trained, greetings):
    again = load_model(trained[0], device="cpu")
    requests = [DrawRequest.of_label("night", seed) for seed in range(5)]
    chosen = json.loads(json.dumps(again.draw_settings()))
    assert drawn_by(again, requests, chosen) == drawn_by(trained[2], requests, chosen)
    assert (again.score(greetings[1]).loss == trained[2].score(greetings[1]).loss).all()


def test_transformers_reads_the_model_folder(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _, model = trained
    other = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([[5, 9, 14]])
    with torch.no_grad():
        assert torch.equal(other(input_ids=ids).logits, model.network(input_ids=ids).logits)
    tokens = AutoTokenizer.from_pretrained(folder)("good night")["input_ids"]
    assert tokens == model.codec.encode(["good night"])[0].tolist()


def test_bits_per_byte_are_the_sum_over_single_tokens(trained):
    model = trained[2]
    texts, labels = ["good night, late moon", "§"], ["night", None]
    total = 0.0
    for text, label in zip(texts, labels, strict=True):
        ids = [*model.codec.prompt(label), *model.codec.encode([text])[0], model.codec.end]
        with torch.no_grad():
            for place in range(1, len(ids)):
                logits = model.network(input_ids=torch.tensor([ids[:place]]).long()).logits[0, -1].double()
                total -= float(logits.log_softmax(0)[int(ids[place])])
    expected = total / math.log(2) / sum(len(text.encode()) for text in texts)
    assert bits_per_byte_of(model)(texts, labels) == pytest.approx(expected, rel=1e-4)


def test_texts_longer_than_the_block_are_scored_whole(trained):
    model = trained[2]
    text = "good night moon " * 24
    tokens = len(model.codec.encode([text])[0]) + 1
    assert tokens > 2 * model.block
    scores = model.score(Examples(text=[text], label=["night"]))
    assert scores.nats[0] / scores.loss[0] == pytest.approx(tokens) and scores.nats[0] > 0


def test_a_long_text_without_labels_is_read_as_one_stream(tmp_path):
    text = "to be or not to be\n" * 30
    train, held = Examples(text=[text]), Examples(text=[text[:90]])
    report = CausalLanguage(PACKED).fit(train, held, tmp_path / "m", options=ONE_THREAD)
    model = load_model(tmp_path / "m", device="cpu")
    drawn = next(iter(model.draw([DrawRequest.of_label(None, 0)], model.draw_settings())))
    assert drawn.text and len(drawn.text) <= 9 and set(drawn.text) <= set(text)
    assert report.metrics["validation_bits_per_byte"] == pytest.approx(bits_per_byte_of(model)([text[:90]], [None]), rel=1e-5)
    with pytest.raises(SettingError, match="do not fit"):
        list(model.draw([DrawRequest.of_label(None, 0)], model.draw_settings({"max_tokens": 17})))


def test_lora_changes_the_adapter_alone_and_is_read_with_its_base(base, greetings, tmp_path):
    tuned = LanguageSettings(
        base=str(base), lora=True, lora_rank=4, steps=30, batch_size=16, learning_rate=3e-2, block=128, draw_batch=4
    )
    before = (base / "model.safetensors").read_bytes()
    report = CausalLanguage(tuned).fit(*greetings, tmp_path / "m", options=ONE_THREAD)
    assert (base / "model.safetensors").read_bytes() == before
    assert report.curve[-1].loss < 0.8 * report.curve[0].loss
    assert any("64 tokens" in note for note in report.notes)
    assert weights_file(tmp_path / "m").name == "adapter_model.safetensors"
    model = load_model(tmp_path / "m", device="cpu")
    assert model.score(greetings[1]).loss.mean() == pytest.approx(report.curve[-1].validation_loss, rel=1e-2)
    requests = [DrawRequest.of_label(label, i) for i, label in enumerate(["morning", "night", None, "night", "morning"])]
    chosen = model.draw_settings({"max_tokens": 6})
    alone = drawn_by(model, requests, chosen)
    for index in range(5):
        assert drawn_by(model, [requests[index]], chosen)[0] == alone[index]


def test_a_base_that_changed_is_noticed(base, greetings, tmp_path):
    import shutil

    own = tmp_path / "base"
    shutil.copytree(base, own)
    tuned = LanguageSettings(base=str(own), lora=True, steps=1, batch_size=4, block=64)
    CausalLanguage(tuned).fit(*greetings, tmp_path / "m", options=ONE_THREAD)
    content = bytearray((own / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (own / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(InputError, match="changed"):
        load_model(tmp_path / "m", device="cpu")
    with pytest.raises(InputError, match="cannot be read"):
        CausalLanguage(tuned.changed({"base": str(tmp_path / "nowhere")})).fit(*greetings, tmp_path / "n")


def test_a_base_is_tuned_whole(base, greetings, tmp_path):
    tuned = LanguageSettings(base=str(base), steps=10, batch_size=8, learning_rate=5e-3, block=48, draw_batch=2)
    report = CausalLanguage(tuned).fit(*greetings, tmp_path / "m", options=ONE_THREAD)
    model = load_model(tmp_path / "m", device="cpu")
    assert report.curve[-1].loss < report.curve[0].loss and model.family.settings.base == str(base)
    assert weights_file(tmp_path / "m").name == "model.safetensors"


def test_a_bad_request_is_refused(trained, digits):
    model = trained[2]
    with pytest.raises(SettingError, match="'noon'"):
        list(model.draw([DrawRequest.of_label("noon", 0)], model.draw_settings()))
    for bad in ({"temperature": -1}, {"top_p": 0}, {"max_tokens": 1.5}, {"prompt": 3}, {"threads": 3}):
        with pytest.raises(SettingError):
            model.draw_settings(bad)
    with pytest.raises(SettingError, match="learns from text"):
        CausalLanguage(TINY).fit(*digits, trained[0])
    with pytest.raises(SettingError, match="base"):
        LanguageSettings(lora=True)


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=100)
def test_bpe_gives_every_text_back(text):
    ids = CODEC.encode([text])[0].tolist()
    assert CODEC.decode(ids) == text
    assert not set(ids) & {CODEC.end, *CODEC.banned}


def test_text_that_looks_like_a_control_token_is_text(tmp_path):
    text = f"say {END} and {LABEL.format(0)}"
    CODEC.save(tmp_path)
    for codec in (CODEC, load_codec(tmp_path, ["a", "b"])):
        ids = codec.encode([text])[0].tolist()
        assert codec.end not in ids and codec.prompt("a")[0] not in ids and codec.decode(ids) == text
    with pytest.raises(InputError, match="cannot be read"):
        load_codec(tmp_path / "nowhere", [])


def test_characters_are_the_distinct_ones_of_the_texts():
    codec = train_codec(["abca\n", "d"], [], kind="characters", size=0)
    assert codec.encode(["cab\nd"])[0].shape == (5,)
    assert codec.decode(codec.encode(["cab\nd"])[0].tolist()) == "cab\nd"
    assert codec.decode(codec.encode(["caz"])[0].tolist()) == "ca\ufffd"


def slow_choice(logits, uniform, limits):
    """The token whose stretch of the kept, sorted probabilities holds the number."""
    allowed = [(value, token) for token, value in enumerate(logits) if token not in limits.banned]
    allowed.sort(key=lambda pair: (-pair[0], pair[1]))
    weights = [math.exp((value - allowed[0][0]) / limits.temperature) for value, _ in allowed]
    shares = [weight / math.fsum(weights) for weight in weights]
    kept, before = [], 0.0
    for (_, token), share in zip(allowed, shares, strict=True):
        if before < limits.top_p:
            kept.append((token, share))
        before += share
    goal, running = uniform * math.fsum(share for _, share in kept), 0.0
    for token, share in kept:
        running += share
        if goal < running:
            return token
    return kept[-1][0]


@given(
    st.lists(st.integers(-4, 4), min_size=4, max_size=9),
    st.integers(0, 99),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([0.05, 0.31, 0.77, 1.0]),
)
@settings(deadline=None, max_examples=150)
def test_a_token_is_chosen_by_the_kept_distribution(logits, place, temperature, top_p):
    limits = Limits(temperature, top_p, 1, 0, (1,))
    uniform = (place + 0.37) / 100
    chosen = choose(torch.tensor([logits], dtype=torch.float64), torch.tensor([uniform], dtype=torch.float64), limits)
    assert int(chosen[0]) == slow_choice(logits, uniform, limits)


def test_no_temperature_takes_the_likeliest_allowed_token():
    logits = torch.tensor([[0.0, 9.0, 3.0, 1.0]], dtype=torch.float64)
    assert int(choose(logits, torch.tensor([0.9]), Limits(0, 1, 1, 0, (1,)))[0]) == 2


def test_a_prompt_is_read_and_not_learned():
    ids = np.array([7, 8, 9, 10, 11], dtype=np.int32)
    inputs, targets = pad_rows([(ids, 2)], pad=0, block=64)
    assert inputs.shape == (1, 8) and inputs[0].tolist() == [7, 8, 9, 10, 0, 0, 0, 0]
    assert targets[0].tolist() == [IGNORED, 9, 10, 11] + [IGNORED] * 4
