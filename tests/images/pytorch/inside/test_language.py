"""Language models as save_pretrained writes them, with transformers in the image and without."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from opt_ml.errors import UserError
from opt_ml.serving.invocation import Request
from opt_ml.serving.streams import Stream

HAS_TRANSFORMERS = find_spec("transformers") is not None
with_transformers = pytest.mark.skipif(not HAS_TRANSFORMERS, reason="this image has no transformers")
MAKER = Path(__file__).resolve().parents[4] / "examples" / "chat" / "make_model.py"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The model of examples/chat."""
    directory = tmp_path_factory.mktemp("language") / "model"
    subprocess.run([sys.executable, MAKER, directory], check=True, capture_output=True)
    return directory


@pytest.fixture
def model(written, model_dir, serve):
    for path in written.iterdir():
        (model_dir / path.name).symlink_to(path)
    return serve()


def chat(model, content="hello", **others):
    body = json.dumps({"messages": [{"role": "user", "content": content}], **others}).encode()
    answer = model.run(model.answer(Request(body, "application/json", None, None, True)))
    if isinstance(answer, Stream):
        answer = model.run(answer.whole())
    return answer


def text_of(answer):
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["choices"][0]["message"]["content"]


@with_transformers
def test_it_chats_without_any_code_and_counts_tokens(model):
    told = json.loads(chat(model, max_tokens=7, temperature=0).body)
    assert told["choices"][0]["finish_reason"] == "length"
    assert told["usage"] == {"prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13}
    assert len(told["choices"][0]["message"]["content"].split()) == 7


@with_transformers
def test_a_stream_has_the_same_text_in_parts(model):
    whole = text_of(chat(model, max_tokens=12, temperature=0))
    events = chat(model, max_tokens=12, temperature=0, stream=True).body.split(b"\n\n")[:-2]
    chunks = [json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"] for event in events]
    texts = [chunk["content"] for chunk in chunks if chunk.get("content")]
    assert "".join(texts) == whole
    assert len(texts) > 5


@with_transformers
def test_a_stop_ends_the_answer_before_it(model):
    wish = {"max_tokens": 12, "temperature": 1.5, "seed": 4}
    whole = text_of(chat(model, **wish))
    stop = whole[9:15]  # ends and begins in the middle of words
    cut = chat(model, stop=["never said", stop], **wish)
    assert text_of(cut) == whole[: whole.index(stop)] != ""
    assert json.loads(cut.body)["choices"][0]["finish_reason"] == "stop"


@with_transformers
def test_a_seed_makes_the_same_answer_again(model):
    wish = {"max_tokens": 20, "temperature": 1.5}
    first, again, other = (text_of(chat(model, seed=seed, **wish)) for seed in (1, 1, 2))
    assert first == again != other


@with_transformers
def test_a_message_may_be_in_parts_of_text(model):
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    wish = {"max_tokens": 5, "temperature": 0}
    assert text_of(chat(model, parts, **wish)) == text_of(chat(model, "hello", **wish))


@with_transformers
@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"content": "the house " * 400}, "messages"),
        ({"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "messages[0].content"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(model, wish, param):
    answer = chat(model, **wish)
    assert answer.status == 400
    assert json.loads(answer.body)["param"] == param


@with_transformers
def test_what_a_template_refuses_is_the_clients_fault(written, model_dir, serve):
    for path in written.iterdir():
        if path.name != "chat_template.jinja":
            (model_dir / path.name).symlink_to(path)
    (model_dir / "chat_template.jinja").write_text("{{ raise_exception('only one may speak') }}")
    answer = chat(serve())
    assert answer.status == 400
    assert b"only one may speak" in answer.body


@with_transformers
def test_another_request_is_told_that_it_chats_only(model, ask):
    answer = ask(model, "[[1, 2]]", "application/json")
    assert answer.status == 400
    assert b"messages" in answer.body


@with_transformers
@pytest.mark.parametrize("absent", ["model.safetensors", "chat_template.jinja"])
def test_an_incomplete_model_is_refused_at_load(written, model_dir, serve, absent):
    for path in written.iterdir():
        if path.name != absent:
            (model_dir / path.name).symlink_to(path)
    with pytest.raises(UserError, match=r"chat template|cannot be read as a model of transformers"):
        serve()


@pytest.mark.skipif(HAS_TRANSFORMERS, reason="this image has transformers")
def test_without_transformers_it_says_which_image_has_them(model_dir, serve):
    (model_dir / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(UserError, match="pytorch-full-cpu"):
        serve()


def test_a_model_of_another_kind_answers_no_chats(net, model_dir, serve):
    import torch

    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    assert chat(serve()).status == 404


@with_transformers
def test_a_client_that_goes_ends_the_generation(written):
    import torch
    from opt_ml_pytorch.language.generation import Generation
    from opt_ml_pytorch.language.pretrained import load_language_model
    from opt_ml_pytorch.language.wishes import read_wishes

    model = load_language_model(written, torch.device("cpu"))
    model.network.generation_config.eos_token_id = None  # so that only the limit ends it
    request = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}
    generation = Generation(model, read_wishes(request, model))
    texts = generation.texts()
    assert next(texts)
    texts.close()
    assert generation.tokens < 400, "it went on to the end of the context"
