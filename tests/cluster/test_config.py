"""What of a cluster can be found wrong before anything is started."""

from __future__ import annotations

from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from engine.cluster.local import Local
from engine.cluster.ray_cluster import RayCluster, _check_parallel
from engine.cluster.shape import PoolShape
from engine.config import ClusterConfig
from engine.errors import UserError
from engine.llm import LlmSpec


def config(**keys):
    return OmegaConf.merge(OmegaConf.structured(ClusterConfig), keys)


def test_several_workers_without_ray_are_refused_with_the_advice_to_use_it():
    with pytest.raises(UserError, match="cluster.workers=4: .*cluster=ray.*tensor_parallel_size"):
        Local(config(workers=4))


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"workers": 0}, "cluster.workers: is 0"),
        ({"gpus_per_worker": 1.5}, "cluster.gpus_per_worker: is 1.5"),
        ({"rows_per_worker": 4}, "cluster.rows_per_worker: is 4"),
        ({"address": "ray://head:10001"}, "Ray Client"),
        ({"per_stage": {"audio": {"worker": 2}}}, "cluster.per_stage.audio.worker: .*'workers'"),
        ({"per_stage": {"audio": {"workers": -1}}}, "cluster.per_stage.audio.workers: is -1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_own_name(keys, said):
    with pytest.raises(UserError, match=said):
        RayCluster(config(**keys))


def test_an_engine_finds_the_devices_its_arguments_ask_for():
    spec = LlmSpec("m", engine={"tensor_parallel_size": 2, "data_parallel_size": 2})
    with pytest.raises(UserError, match="takes 4 GPUs"):
        _check_parallel(spec, PoolShape(gpus_per_worker=2.0))
    _check_parallel(spec, PoolShape(gpus_per_worker=4.0))
    _check_parallel(LlmSpec("m"), PoolShape(gpus_per_worker=0.5))


def test_places_are_counted_as_ray_does():
    third = PoolShape(workers=9, cpus_per_worker=0.0, gpus_per_worker=0.3333)
    assert third.places({"GPU": 1.0}) == 3
    assert third.places({"CPU": 8.0}) == 0
    both = replace(third, cpus_per_worker=2.0, resources={"L4": 0.001})
    assert both.places({"GPU": 4.0, "CPU": 8.0, "L4": 1.0}) == 4
    assert both.wants() == "2 CPU, 0.3333 GPU, 0.001 L4"
