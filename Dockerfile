# The image of every process but the database: Prefect server, worker, review page, simulator.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH

RUN python -m venv /opt/venv
WORKDIR /app

# the locked versions first: they change less often than the code
COPY requirements.txt ./
RUN pip install --no-deps --require-hashes -r requirements.txt

COPY . .
RUN pip install --no-deps --no-build-isolation --editable .

# what is written: volumes take their owner from here
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin weighbridge \
    && mkdir -p /srv/weighbridge/results /srv/weighbridge/prefect /srv/weighbridge/simulated /app/data/incoming \
    && chown -R weighbridge:weighbridge /srv/weighbridge /app/data/incoming
USER weighbridge

ENTRYPOINT ["weighbridge"]
CMD ["--help"]
