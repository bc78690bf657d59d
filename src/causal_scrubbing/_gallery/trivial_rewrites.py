"""Rewrites that make a hypothesis pass without saying anything.

A graph may be rewritten into any graph that computes the same function on the data (extensional
equality). Two rewrites make that empty: a lookup table of the function, and a constant in place of
a loss that is zero on every row. Source: the discussion of rewrites in the appendix of Chan et al.
2022, "Causal scrubbing".
"""

from __future__ import annotations

import torch

import causal_scrubbing as cs
from causal_scrubbing.gallery import Entry, Options, Outcome, as_text, exhibit

LOWEST, HIGHEST = -3, 3
MODEL = "model: the cosine carries parity"
FALSE = "model, false: the cosine carries x > 0"
TABLE = "lookup table: the entry is the input"
CONSTANT = "constant loss: nothing matters"


def make_data() -> cs.Dataset:
    """The whole numbers from -3 to 3 and their parity, which is the label."""
    x = torch.arange(LOWEST, HIGHEST + 1)
    return cs.Dataset(x=x, parity=(x % 2).double(), positive=x > 0)


def make_model() -> cs.Graph:
    """Parity by trigonometry: cos(pi x) is 1 on even numbers and -1 on odd ones."""
    return cs.Graph.build(
        inputs=["x"],
        nodes={
            "cosine": (lambda x: torch.cos(torch.pi * x.double()), ["x"]),
            "f": (lambda cosine: ((1 - cosine) / 2).round(), ["cosine"]),
        },
        output="f",
    )


def as_lookup_table(model: cs.Graph, data: cs.Dataset) -> cs.Graph:
    """The model with f replaced by a table of what f gives on every input."""
    known = model(data)
    return model.replace(
        "f",
        nodes={
            "entry": (lambda x: x - LOWEST, ["x"]),
            "looked up": (lambda entry: known[entry], ["entry"]),
        },
        output="looked up",
        data=data,
    )


def with_constant_loss(model: cs.Graph, data: cs.Dataset) -> cs.Graph:
    """The model with its squared error, which is 0 on every row, replaced by the constant 0."""
    loss = model.append("loss", lambda f, parity: (f - parity) ** 2, parents=["f", "parity"])
    return loss.replace(
        "loss",
        nodes={"zero": (lambda x: torch.zeros(len(x), dtype=torch.float64), ["x"])},
        output="zero",
        data=data,
    )


def run(options: Options) -> Outcome:
    """Scrub the model and its rewrites, and say what passing is worth."""
    data, model = make_data(), make_model()
    table, constant = as_lookup_table(model, data), with_constant_loss(model, data)
    cases = {
        MODEL: cs.Hypothesis(model, cs.claim("f", cs.exact, cs.claim("cosine", "parity"))),
        FALSE: cs.Hypothesis(model, cs.claim("f", cs.exact, cs.claim("cosine", "positive"))),
        TABLE: cs.Hypothesis(table, cs.claim("looked up", cs.exact, cs.claim("entry", "x"))),
    }
    empty = cs.Hypothesis(constant, cs.claim("zero", cs.exact, cs.nothing))
    outside = exhibit(cases, data, cs.metrics.squared_error("parity"), options)
    inside = exhibit({CONSTANT: empty}, data, None, options)
    shown = outside.with_(inside)
    loss = shown.exact[CONSTANT]
    random = shown.exact[MODEL].randomized
    history = "\n".join(f"- {line}" for line in (*table.history, *constant.history))
    text = f"""
{as_text(shown.table)}

The lookup table is {cs.check_equal(model, table, data)}.
So it is a lawful rewrite, and a claim about it recovers 100% without a word about how the model
finds the entry. The run says what that is worth: in {shown.sampled[TABLE].stuck:.0%} of the samples
the claim could only keep its own row.

"The loss is the constant 0" is a lawful rewrite of model and metric together, because the loss is 0
on every row. The hypothesis that nothing matters then scores {loss.expectation}, as the model does.
Measured against random outputs of the model as it was, {random}, that would be 100%. Here recovered
is undefined: {loss.recovered.reason}.

Equality on the data is all that a rewrite promises. Whether the graph is still about the model is
for its reader to judge, and its history says what was done:

{history}
"""
    outcome = shown.outcome(
        "", title="A lookup table and a constant pass like the mechanism", behaviour="squared error"
    )
    return Outcome(
        results=shown.sampled, table=shown.table, text=text.lstrip(), figure=outcome.figure
    )


ENTRY = Entry(
    name="trivial-rewrites",
    title="a lookup table and a constant pass: allowed, and empty",
    summary=(
        "A graph may be replaced by any graph of the same function. Two replacements make a "
        "hypothesis pass whatever the model does inside, and the reports show that they are empty."
    ),
    run=run,
    page="gallery/trivial-rewrites.md",
)
