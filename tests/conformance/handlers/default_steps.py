"""Only loads the model; a request is decoded, predicted and encoded by the defaults."""


class Doubles:
    def predict(self, data):
        return data * 2


def model_fn(model_dir):
    return Doubles()
