"""A head start in copying: an induction circuit drawn into a fresh Llama before training.

A small model needs a third of its training to discover that a name in the brief can be repeated token by token, by two
heads in a row: one that tells every position which token came before it, and one that looks for the place where the
current token came before, and says what stands there (Elhage et al., "A Mathematical Framework for Transformer
Circuits", 2021; Olsson et al., "In-context Learning and Induction Heads", 2022). Here the circuit is there from the
start, made of ordinary weights that training then changes as it likes.

Layout of the residual stream at the start: dimension 0 is a constant, 1 to `CONTENT` the token, the rest what the
first layer adds about the token before.
"""

from __future__ import annotations

import torch
from torch import Tensor

CONTENT = 128  # dimensions that hold the token
MATCH = 0.02  # a rotary pair this slow (radians a token) still compares content over a brief's length
STD = 0.05  # of the token embeddings
SHARPNESS = 80.0  # how strongly a look back prefers its position, before the 1 / sqrt(head) factor
AGREE = 4.0  # how strongly agreement of tokens counts
GAIN = 2.0  # how loud a found token is, against the current one


@torch.no_grad()
def draw_copying(model, seed: int) -> None:
    """Overwrite the first two layers' attention of `model` (a `Llama`) and its embeddings with the circuit."""
    shape = model.shape
    d, heads = shape.width, shape.heads
    head = d // heads
    random = torch.Generator().manual_seed(seed)
    speed = shape.theta ** (-torch.arange(0, head, 2).float() / head)
    slow = (speed < MATCH).nonzero().flatten()
    slots = torch.cat((slow, slow + head // 2))  # dimensions of a head that compare content

    embed = model.embed_tokens.weight
    embed.normal_(std=STD, generator=random)
    embed[:, CONTENT:] = 0.0
    embed *= STD * CONTENT**0.5 / embed[:, 1:CONTENT].norm(dim=1, keepdim=True)
    embed[:, 0] = STD * CONTENT**0.5  # as much energy as the token's own
    level = CONTENT**0.5 / (2 * CONTENT / d) ** 0.5  # of dimension 0 after the norm
    first, second = model.layers[0], model.layers[1]

    # Layer 0: two heads attend one position back and write half each of a random view of the token they find.
    view = torch.linalg.qr(torch.randn(CONTENT, d - CONTENT, generator=random))[0].T  # orthonormal rows
    query, key = _look_back(1, speed)
    for h in range((d - CONTENT) // head):
        rows = slice(h * head, (h + 1) * head)
        for proj, vector in ((first.q_proj, query), (first.k_proj, key)):
            proj.weight[rows] = 0.0
            proj.weight[rows, 0] = vector * SHARPNESS**0.5 / level
        first.v_proj.weight[rows] = 0.0
        first.v_proj.weight[rows, 1:CONTENT] = view[rows, 1:]
        first.o_proj.weight[:, rows] = 0.0
        first.o_proj.weight[CONTENT + h * head : CONTENT + (h + 1) * head, rows] = torch.eye(head) * STD

    # Layer 1: heads compare the current token with the one before every position, and give the token where they agree.
    found = torch.linalg.qr(torch.randn(CONTENT, CONTENT, generator=random))[0]
    for h in range(CONTENT // head):
        rows = slice(h * head, (h + 1) * head)
        chosen = torch.randperm(d - CONTENT, generator=random)[: len(slots)]
        for proj in (second.q_proj, second.k_proj, second.v_proj):
            proj.weight[rows] = 0.0
        second.q_proj.weight[h * head + slots, 1:CONTENT] = AGREE * view[chosen][:, 1:]
        second.k_proj.weight[h * head + slots, CONTENT + chosen] = AGREE
        second.v_proj.weight[rows, 1:CONTENT] = found[rows, 1:]
        second.o_proj.weight[:, rows] = 0.0
        second.o_proj.weight[:CONTENT, rows] = GAIN * STD * found[rows].T
    model.norm.weight[0] = 0.1
    model.norm.weight[CONTENT:] = 0.5


def _look_back(distance: int, speed: Tensor) -> tuple[Tensor, Tensor]:
    """Query and key vectors whose rotary score is highest `distance` positions back."""
    fast = (speed > 0.1).float()  # slower pairs would add the same score to every near position
    key = torch.cat((fast, torch.zeros_like(fast)))
    # turning the query back by `distance` moves the peak from distance 0 to there
    query = torch.cat((fast * torch.cos(-distance * speed), fast * torch.sin(-distance * speed)))
    return query, key
