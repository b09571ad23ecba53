"""The launcher Hydra finds under the name `shared_engine`."""
