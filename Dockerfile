# An image with the command `autoresearch`. Your project is mounted at /project, the cache of data sets is a volume.
#
#   docker build -t autoresearch .                                       CPU
#   docker build -t autoresearch --build-arg DEVICE=cuda .               NVIDIA cards
#   docker run --rm -it -v "$PWD:/project" -v autoresearch:/cache autoresearch init
#   docker run --rm -it -v "$PWD:/project" -v autoresearch:/cache --gpus all \
#     -e AUTORESEARCH_SOURCE=climbmix autoresearch run --hours 8         web text, of which ten shards are downloaded
#
# --gpus all needs the NVIDIA container toolkit. Add --build-arg UID=$(id -u) if your user is not number 1000: the files
# in /project have to belong to the user of the image. A key goes in with `-e ANTHROPIC_API_KEY`.
#
# The cells in which train.py runs are built inside the container, without further privileges: they need a host with
# Linux 5.13 or newer and Landlock, and a container profile that allows Landlock, seccomp filters and seccomp's user
# notification. Namespaces are one layer more, which default profiles refuse. `autoresearch doctor`, run in the same way,
# tries all of it and says STRONG, or WEAK with what is missing: look at that before a night. Do not run it with
# --privileged: that adds nothing to the cells.

FROM python:3.12-slim-bookworm

# gcc: Triton compiles a launcher for each kernel of a card
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc git libc6-dev \
    && rm -rf /var/lib/apt/lists/*

ARG DEVICE=cpu
RUN if [ "$DEVICE" = cpu ]; then index="--index-url https://download.pytorch.org/whl/cpu"; fi \
    && pip install --no-cache-dir $index "torch>=2.9,<2.14"

COPY pyproject.toml README.md LICENSE train.py program.md /source/
COPY autoresearch /source/autoresearch
RUN pip install --no-cache-dir "/source[openai,parquet,web]"

ARG UID=1000
RUN useradd --create-home --uid "$UID" researcher && install -d -o researcher /cache /project
ENV AUTORESEARCH_CACHE=/cache NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER researcher
WORKDIR /project
ENTRYPOINT ["autoresearch"]
CMD ["--help"]
