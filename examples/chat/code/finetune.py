"""Fine-tunes a causal language model of Hugging Face: the channel `model`, as save_pretrained wrote it.

The channel `train` has dialogues, each a line of JSON with `messages`, the last of which is what the model
shall learn to say. Where the job has /opt/ml/checkpoints the Trainer keeps its state there, and a job that
was taken away goes on from it. On several hosts, under torchrun, the Trainer shares the work by itself.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    logging,
)
from transformers.trainer_utils import get_last_checkpoint

CHECKPOINTS = Path("/opt/ml/checkpoints")
UNLEARNED = -100  # a label that the loss passes over: what the user says is not to be learned


class Losses(TrainerCallback):
    """Prints the loss as a metric of the job."""

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """One line a report of the Trainer."""
        if state.is_world_process_zero and logs and "loss" in logs:
            print(f"step={state.global_step}; train-loss={float(logs['loss']):.4f};", flush=True)


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.005)
    arguments = parser.parse_args()

    logging.disable_progress_bar()
    source = os.environ["SM_CHANNEL_MODEL"]
    tokenizer = AutoTokenizer.from_pretrained(source)
    keeps = CHECKPOINTS.is_dir()
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(source),
        args=TrainingArguments(
            output_dir=str(CHECKPOINTS if keeps else "/tmp/trainer"),  # noqa: S108
            num_train_epochs=arguments.epochs,
            per_device_train_batch_size=arguments.batch_size,
            learning_rate=arguments.lr,
            logging_steps=10,
            save_strategy="epoch" if keeps else "no",
            save_total_limit=1,
            report_to=[],
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=read(Path(os.environ["SM_CHANNEL_TRAIN"]), tokenizer),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=UNLEARNED),
        callbacks=[Losses()],
    )
    trainer.remove_callback(PrinterCallback)  # which would say the same in a line of its own
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(CHECKPOINTS)) if keeps else None)
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(os.environ["SM_MODEL_DIR"])
        tokenizer.save_pretrained(os.environ["SM_MODEL_DIR"])


def read(directory: Path, tokenizer: Any) -> list[dict[str, list[int]]]:
    """The dialogues as tokens, each with the labels of its last message."""
    examples = []
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            messages = json.loads(line)["messages"]
            prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, tokenize=False)
            known = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answer = tokenizer(messages[-1]["content"], add_special_tokens=False)["input_ids"]
            answer.append(tokenizer.eos_token_id)
            examples.append(
                {
                    "input_ids": known + answer,
                    "attention_mask": [1] * (len(known) + len(answer)),
                    "labels": [UNLEARNED] * len(known) + answer,
                }
            )
    return examples


if __name__ == "__main__":
    main()
