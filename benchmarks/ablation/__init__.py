"""The paper's ablations: grids of configurations, trained, evaluated and reported."""
