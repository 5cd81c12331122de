"""The Flask application of the sample: CSV in, CSV out, and a model that is loaded at the first question."""

import io
import pickle
from pathlib import Path

import flask
import pandas

MODEL = Path("/opt/ml/model/decision-tree-model.pkl")


class ScoringService:
    """Holds the model."""

    model = None

    @classmethod
    def get_model(cls):
        """Load it once a process."""
        if cls.model is None:
            with MODEL.open("rb") as stream:
                cls.model = pickle.load(stream)
        return cls.model

    @classmethod
    def predict(cls, rows):
        """Predict a data frame."""
        return cls.get_model().predict(rows)


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    """Healthy when the model can be loaded."""
    health = ScoringService.get_model() is not None
    return flask.Response(response="\n", status=200 if health else 404, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def transformation():
    """Predict each row of a CSV body."""
    if flask.request.content_type != "text/csv":
        return flask.Response(
            response="This predictor only supports CSV data", status=415, mimetype="text/plain"
        )
    text = flask.request.data.decode("utf-8")
    rows = pandas.read_csv(io.StringIO(text), header=None)
    print(f"Invoked with {rows.shape[0]} records")
    out = io.StringIO()
    pandas.DataFrame({"results": ScoringService.predict(rows)}).to_csv(out, header=False, index=False)
    return flask.Response(response=out.getvalue(), status=200, mimetype="text/csv")
