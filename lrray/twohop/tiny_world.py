"""The tiny world: a small model that is taught a dataset's real facts on the spot.

It stands in for a pretrained chat model where there is none: it learns the second hop of every
entity, first hops and worked answers of other people, and to answer at once when told to, though
never to put two hops together at once. See ``docs/twohop.md``.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from lrray.files import whole_file
from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers
from lrray.training.saved import SavedTensors
from lrray.training.weights import load_tensors, model_tensors
from lrray.twohop.chat import ChatFormat, Example
from lrray.twohop.config import TINY_WORLD, TinyWorldConfig
from lrray.twohop.controls import worked_answer
from lrray.twohop.facts import Entity, Facts
from lrray.twohop.learner import AnswerLearner
from lrray.twohop.people import people
from lrray.twohop.rows import Message, chat, first_hop_row, two_hop_row, with_question
from lrray.twohop.splits import BuildConfig, Splits
from lrray.twohop.tiny_tokenizer import make_tokenizer


class Curriculum:
    """What a tiny world is taught, drawn step by step.

    Args:
        facts: of the dataset.
        build: how its splits are built.
        config: sizes and weights.
        splits: whose entities are taught; their people never occur here.
    """

    def __init__(
        self, facts: Facts, build: BuildConfig, config: TinyWorldConfig, splits: Splits
    ) -> None:
        self._config, self._seed = config, build.seed
        self._kinds = {
            "first_hop": config.first_hop_weight,
            "second_hop": config.second_hop_weight,
            "cot": config.cot_weight,
            "noise": config.noise_weight,
        }
        drawn = {row["answer"] for row in splits.first_hop}
        self.entities = [entity for entity in facts.entities if entity.name in drawn]
        names = people(build.people + config.other_people + config.noise_people)[build.people :]
        self._messages = _curriculum(facts, build, self.entities, names, config.other_people)

    @property
    def texts(self) -> list[str]:
        """Everything that is taught, for the tokenizer to be made from."""
        chats = (chat for kind in self._messages.values() for chat in kind)
        return [message["content"] for messages in chats for message in messages]

    def draw(self, purpose: str, step: int, count: int) -> list[list[Message]]:
        """Chats of one step: the same for the same purpose and step."""
        rng = random.Random(f"{self._seed}/{purpose}/{step}")
        kinds = rng.choices(list(self._kinds), weights=list(self._kinds.values()), k=count)
        return [rng.choice(self._messages[kind]) for kind in kinds]


def _curriculum(
    facts: Facts, build: BuildConfig, entities: Sequence[Entity], names: list[str], num_others: int
) -> dict[str, list[list[Message]]]:
    prompts = build.prompts
    rng = random.Random(f"{build.seed}/{facts.dataset}/tiny world")
    others = {name: rng.choice(entities) for name in names[:num_others]}
    certain = [
        (name, entity)
        for name in facts.attributes
        for entity in entities
        if build.include_uncertain or not entity.facts[name].uncertain
    ]
    known = {(name, entity.name) for name, entity in certain}
    first = [first_hop_row(facts, *owner, prompts)["messages"] for owner in others.items()]
    second = []
    for name, entity in certain:
        row = two_hop_row(facts, names[0], entity, name, prompts.first_hop)
        ask = facts.attributes[name].question.format(entity=entity.name)
        second.append(with_question(row, ask, prompts.first_hop)["messages"])
    worked = [
        chat(prompts.cot, facts.two_hop_question(person, name), worked_answer(facts, entity, name))
        for person, entity in others.items()
        for name in facts.attributes
        if (name, entity.name) in known
    ]
    noise = [
        chat(prompts.nocot, facts.two_hop_question(person, name), entity.facts[name].text)
        for person in names[num_others:]
        for name in facts.attributes
        for entity in [rng.choice([e for n, e in certain if n == name])]
    ]
    return {"first_hop": first, "second_hop": second, "cot": worked, "noise": noise}


class TinyWorld:
    """A tiny world's model, tokenizer and teaching material.

    Args:
        facts: of the dataset.
        build: how its splits are built, with the seed.
        config: sizes and weights.
        splits: of the real facts, whose entities are taught.
        names: further names that are single tokens.
    """

    def __init__(
        self,
        facts: Facts,
        build: BuildConfig,
        config: TinyWorldConfig,
        splits: Splits,
        names: Sequence[str] = (),
    ) -> None:
        self._config, self._build = config, build
        self.curriculum = Curriculum(facts, build, config, splits)
        entities = [entity.name for entity in facts.entities]
        count = build.people + config.other_people + config.noise_people
        self.chat = ChatFormat(
            make_tokenizer(self.curriculum.texts, [*people(count), *entities, *names]), TINY_WORLD
        )
        self.model = self._make_model()
        self._key = {"facts": facts.model_dump(), "build": build.model_dump(), "names": names}

    def _make_model(self) -> nn.Module:
        config = self._config
        torch.manual_seed(self._build.seed)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(self.chat.tokenizer),
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                num_key_value_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size,
                max_position_embeddings=1024,
                tie_word_embeddings=False,
                bos_token_id=None,
                eos_token_id=self.chat.end_of_turn,
                pad_token_id=self.chat.pad,
            )
        )

    def replay(self, count: int, step: int) -> list[Example]:
        """Rows of the teaching material for one step of fine-tuning."""
        return [self.chat.example(m) for m in self.curriculum.draw("replay", step, count)]

    def teach(self, folder: Path, workers: Workers) -> None:
        """Pretrains the model, or takes over what an earlier try at this cell left in ``folder``.

        One worker teaches, the others wait for its weights.
        """
        path = folder / f"tiny_world_{self._digest()}.safetensors"
        if workers.is_first and not path.exists():
            self._pretrain(workers.device)
            with whole_file(path) as draft:
                save_file(model_tensors(self.model), draft)
        workers.wait()
        self.model.to(workers.device)
        load_tensors(model_tensors(self.model), SavedTensors([path]))

    def _digest(self) -> str:
        key = {**self._key, "config": self._config.model_dump()}
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]

    def _pretrain(self, device: torch.device) -> None:
        config = self._config
        train = TrainConfig(
            steps=config.steps,
            batch_size=config.batch_size,
            micro_batch_size=-(-config.batch_size // 2),  # worked answers apart from short rows
            learning_rate=config.learning_rate,
            schedule="cosine",
            precision="float32",
            model_seed=self._build.seed,
        )
        learner = AnswerLearner(self.model, train, Workers(0, 1, device), self.chat.pad)
        for step in range(config.steps):
            chats = self.curriculum.draw("pretrain", step, config.batch_size)
            learner.answer_step([self.chat.example(messages) for messages in chats], step)
