"""task=image, text and multimodal: tiny networks with random weights, through the loading of real ones."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import RequestError, UserError
from opt_ml.training import stopping
from opt_ml_autogluon.multimodal import handler
from opt_ml_autogluon.vision import make_importable

from tests.images.autogluon.inside.pictures import NETWORK, Job, picture, with_pictures

HUB_NAME = "timm/mobilenetv3_small_050.lamb_in1k"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "good",
    "bad",
    "fine",
    "awful",
    "shoe",
    "hat",
    "the",
    "very",
]


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "ml")


def with_image_weights(job):
    """What the hub has of a network of timm, with random weights."""
    make_importable()
    import timm
    from safetensors.torch import save_file

    network = timm.create_model(NETWORK)
    folder = job.base / "input" / "data" / "pretrained" / HUB_NAME
    folder.mkdir(parents=True)
    save_file(network.state_dict(), str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({"architecture": NETWORK}))
    job.channels["pretrained"] = {"TrainingInputMode": "File"}
    return job


def with_text_weights(job):
    """What the hub has of a network for text: configuration, vocabulary, random weights."""
    make_importable()
    from transformers import ElectraConfig, ElectraModel, ElectraTokenizerFast

    folder = job.base / "input" / "data" / "pretrained" / "tiny" / "electra"
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    ElectraTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 16, "embedding_size": 16, "intermediate_size": 16, "vocab_size": len(WORDS)}
    config = ElectraConfig(num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=64, **sizes)
    ElectraModel(config).save_pretrained(folder)
    job.channels["pretrained"] = {"TrainingInputMode": "File"}
    return job


def reviews(rows=40):
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(["good", "bad", "fine", "awful", "the", "very"], 14)) for _ in range(rows)]
    stars = [text.count("good") + text.count("fine") for text in texts]
    return pd.DataFrame(
        {"text": texts, "price": rng.normal(10, 2, rows).round(2), "liked": np.array(stars) > 4}
    )


def ask(model, body, content_type, accept="application/json"):
    answer, _ = handler.output_fn(handler.predict_fn(handler.input_fn(body, content_type), model), accept)
    return json.loads(answer)["predictions"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """One trained model of images, and the job that made it."""
    job = Job(tmp_path_factory.mktemp("images") / "ml")
    with_image_weights(with_pictures(with_pictures(job), "test", 4)).run(
        {"task": "image", "time_limit": "300"}
    )
    return job, handler.model_fn(str(job.base / "model"))


def test_folders_of_images_are_learned_from_the_weights_of_a_channel(images):
    job, model = images
    assert job.model["classes"] == ["blue", "red"]
    assert job.metrics["test_rows"] == {"source": "test", "rows": 8}
    assert {"accuracy", "roc_auc"} <= set(job.metrics["test"])
    assert json.loads((job.base / "model" / "FitSummary.json").read_text())["training_time"] > 0
    page = (job.base / "output" / "data" / "report.html").read_text()
    assert "Confusion matrix" in page
    assert "Images of each class" in page
    assert set(model.columns.of_kind("text")) == {"image"}


def test_an_image_in_the_body_or_in_base64_has_the_same_answer(images):
    _, model = images
    body = picture("red", 99)
    direct = ask(model, body, "image/png", "application/json;output=probabilities")
    coded = json.dumps({"instances": [{"image": base64.b64encode(body).decode()}]}).encode()
    assert ask(model, coded, "application/json", "application/json;output=probabilities")[0] == pytest.approx(
        direct[0]
    )
    assert set(direct[0]) == {"blue", "red"}
    assert sum(direct[0].values()) == pytest.approx(1, abs=1e-4)
    assert ask(model, body, "image/png") == [max(direct[0], key=direct[0].get)]


def test_joined_images_have_the_answers_of_single_ones(images):
    _, model = images
    bodies = [picture("red", 99), b"not an image", picture("blue", 98)]
    coded = json.dumps([{"image": base64.b64encode(body).decode()} for body in bodies[1:2]]).encode()
    asked = [
        handler.input_fn(bodies[0], "image/png"),
        handler.input_fn(coded, "application/json"),
        handler.input_fn(bodies[2], "image/png"),
    ]
    first, refused, last = handler.predict_batch_fn(asked, model)
    assert isinstance(refused, RequestError)
    for joined, body in ((first, bodies[0]), (last, bodies[2])):
        accept = "application/json;output=probabilities"
        together = json.loads(handler.output_fn(joined, accept)[0])["predictions"]
        assert together[0] == pytest.approx(ask(model, body, "image/png", accept)[0], abs=1e-4)


def test_a_body_that_is_no_image_is_400(images):
    _, model = images
    with pytest.raises(RequestError) as caught:
        ask(model, b"not an image", "image/png")
    assert caught.value.status == 400


def test_text_is_learned_and_a_request_needs_no_channel(job):
    with_text_weights(job.file("train", "reviews.csv", reviews())).run({"task": "text", "label": "liked"})
    for path in sorted((job.base / "input" / "data" / "pretrained").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    model = handler.model_fn(str(job.base / "model"))
    found = ask(
        model, b'[{"text": "very good", "price": 9}, {"text": "the awful", "price": 9}]', "application/json"
    )
    assert set(found) <= {"True", "False"}
    assert len(found) == 2


def test_a_table_of_images_texts_and_numbers_is_learned_together(job):
    rows = reviews().assign(photo=[f"photos/{number % 8}.png" for number in range(40)])
    rows["stars"] = rows["price"] / 2
    for number in range(8):
        job.file("train", f"photos/{number}.png", picture("red", number))
    with_text_weights(job.file("train", "rows.csv", rows.drop(columns="liked")))
    job.run({"task": "multimodal", "label": "stars", "pretrained": "false"})
    assert job.model["kinds"] == {"text": "text", "price": "numerical", "photo": "image_path"}
    assert job.metrics["validation"]["root_mean_squared_error"] > 0
    model = handler.model_fn(str(job.base / "model"))
    row = {"text": "very good", "price": 9, "photo": base64.b64encode(picture("red")).decode()}
    assert len(ask(model, json.dumps([row]).encode(), "application/json")) == 1
    with pytest.raises(RequestError, match="Row 1"):
        ask(model, json.dumps([{**row, "photo": "photos/1.png"}]).encode(), "application/json")


def refused(job, hyperparameters):
    with pytest.raises(UserError) as caught:
        job.run(hyperparameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_image_that_does_not_decode_is_named(job):
    with_pictures(job).file("train", "red/broken.png", picture("red")[:100])
    message = refused(job, {"task": "image", "pretrained": "false"})
    assert "train/red/broken.png cannot be decoded" in message


def test_a_file_that_is_no_image_is_named(job):
    with_pictures(job).file("train", "red/text.png", b"no image at all")
    message = refused(job, {"task": "image", "pretrained": "false"})
    assert "train/red/text.png cannot be decoded as an image (of no known format)" in message


def test_one_folder_is_one_class(job):
    assert "only one folder ('red')" in refused(with_pictures(job, colours=("red",)), {"task": "image"})


def test_an_image_outside_of_folders_is_named(job):
    with_pictures(job).file("train", "stray.png", picture("red"))
    assert "train/stray.png lies in no folder" in refused(job, {"task": "image"})


def test_weights_that_are_missing_are_named_with_their_channel(job):
    message = refused(with_pictures(job), {"task": "image"})
    assert HUB_NAME in message
    assert "channel pretrained" in message
    other = Job(job.base.parent / "other").file("train", "reviews.csv", reviews())
    message = refused(other, {"task": "text", "label": "liked"})
    assert "'tiny/electra'" in message
    assert "channel pretrained" in message


def test_a_network_that_timm_does_not_know_is_named(job):
    message = refused(with_pictures(job), {"task": "image", "image_checkpoint": "resnet17"})
    assert "'resnet17', which timm does not know" in message


def test_a_job_that_is_started_again_goes_on_after_its_last_epoch(job, capsys):
    (job.base / "checkpoints").mkdir(parents=True)
    settings = {"task": "image", "pretrained": "false", "max_epochs": "2"}
    with_pictures(job).run(settings)
    assert len(job.metrics["epochs"]) == 2
    capsys.readouterr()
    job.run(settings)
    assert "Goes on after epoch 2" in capsys.readouterr().out
    assert len(job.metrics["epochs"]) == 2, "epochs were fitted again"


def test_a_stopped_job_leaves_the_network_as_it_is(job, monkeypatch):
    from opt_ml_autogluon.multimodal import fitting

    original = fitting.Epochs.on_train_epoch_end

    def stop(self, *arguments):
        original(self, *arguments)
        monkeypatch.setattr(stopping._State, "arrived", True)

    monkeypatch.setattr(fitting.Epochs, "on_train_epoch_end", stop)
    with_pictures(job)
    with pytest.raises(stopping.Stopped):
        job.run({"task": "image", "pretrained": "false", "max_epochs": "50"})
    assert job.model["stopped"]
    assert len(job.metrics["epochs"]) < 5
    monkeypatch.undo()
    assert ask(handler.model_fn(str(job.base / "model")), picture("red"), "image/png")


def test_a_model_is_what_predictions_need(images):
    job, _ = images
    names = {path.name for path in Path(job.base / "model").rglob("*")}
    assert "model.ckpt" in names
    assert not [name for name in names if name.startswith(("events.", "epoch="))]
