"""deltabar as a service: data sets and jobs over HTTP, a queue, and workers that train with `core`."""
