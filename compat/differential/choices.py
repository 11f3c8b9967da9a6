"""Differences of kbroker from Apache Kafka that are meant. docs/differences.md says why.

A choice names steps and fields by patterns, and what the two say there, so that nothing else hides
behind it. It applies when the first broker speaks as Kafka does and the second as kbroker does.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kbroker.wire.api_keys import ApiKey

from .compare import UNHEARD
from .peer import SILENT

if TYPE_CHECKING:
    from .compare import Difference


NOT_BUILT = (
    ApiKey.SASL_HANDSHAKE,
    ApiKey.ADD_PARTITIONS_TO_TXN,
    ApiKey.ADD_OFFSETS_TO_TXN,
    ApiKey.END_TXN,
    ApiKey.WRITE_TXN_MARKERS,
    ApiKey.TXN_OFFSET_COMMIT,
    ApiKey.DESCRIBE_ACLS,
    ApiKey.CREATE_ACLS,
    ApiKey.DELETE_ACLS,
    ApiKey.ALTER_REPLICA_LOG_DIRS,
    ApiKey.SASL_AUTHENTICATE,
    ApiKey.CREATE_DELEGATION_TOKEN,
    ApiKey.RENEW_DELEGATION_TOKEN,
    ApiKey.EXPIRE_DELEGATION_TOKEN,
    ApiKey.DESCRIBE_DELEGATION_TOKEN,
    ApiKey.DESCRIBE_CLIENT_QUOTAS,
    ApiKey.ALTER_CLIENT_QUOTAS,
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS,
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS,
    ApiKey.DESCRIBE_TRANSACTIONS,
    ApiKey.LIST_TRANSACTIONS,
    ApiKey.CONSUMER_GROUP_HEARTBEAT,
    ApiKey.CONSUMER_GROUP_DESCRIBE,
    ApiKey.SHARE_GROUP_HEARTBEAT,
    ApiKey.SHARE_GROUP_DESCRIBE,
    ApiKey.SHARE_FETCH,
    ApiKey.SHARE_ACKNOWLEDGE,
    ApiKey.INITIALIZE_SHARE_GROUP_STATE,
    ApiKey.READ_SHARE_GROUP_STATE,
    ApiKey.WRITE_SHARE_GROUP_STATE,
    ApiKey.DELETE_SHARE_GROUP_STATE,
    ApiKey.READ_SHARE_GROUP_STATE_SUMMARY,
    ApiKey.STREAMS_GROUP_HEARTBEAT,
    ApiKey.STREAMS_GROUP_DESCRIBE,
    ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS,
    ApiKey.ALTER_SHARE_GROUP_OFFSETS,
    ApiKey.DELETE_SHARE_GROUP_OFFSETS,
)


@dataclass(frozen=True)
class Choice:
    """`left` and `right` are patterns of the values, as text; < > stand for square brackets."""

    name: str
    step: str
    path: str
    left: str = "*"
    right: str = "*"

    def speaks_of(self, difference: Difference) -> bool:
        """Whether the step is one of those."""
        return fnmatchcase(f"{difference.scenario}: {difference.step}", self.step)

    def covers(self, difference: Difference) -> bool:
        return (
            self.speaks_of(difference)
            and fnmatchcase(_plain(difference.path), self.path)
            and fnmatchcase(_plain(str(difference.left)), self.left)
            and fnmatchcase(_plain(str(difference.right)), self.right)
        )


def _plain(text: str) -> str:
    """With < > for the brackets, which mean something else in a pattern."""
    return text.replace("[", "<").replace("]", ">")


CHOICES: tuple[Choice, ...] = (
    # Only what is built is advertised.
    *(Choice("not advertised", "*", f"api_keys.{int(key)}", right="(absent)") for key in NOT_BUILT),
    Choice("not advertised", "*", "*_features.*", right="(absent)"),
    # Apache Kafka answers that the topic is not there yet.
    Choice("created topics", "metadata.auto_created: v* asked", "topics*"),
    # An exception inside Apache Kafka; a clear error here.
    Choice("a clear error", "metadata.by_id: * null name, no id", "*"),
    Choice("a clear error", "boundaries.*: Metadata v* topics.name=None", "*"),
    Choice("a clear error", "metadata.described: name '' 0", "topics<0>.*"),
    Choice(
        "a clear error",
        "configs.unknown_operations: v* (('retention.ms', *, '5'),)",
        "responses<*>.error_*",
        "UNKNOWN_SERVER_ERROR",
        "INVALID_REQUEST",
    ),
    Choice(
        "a clear error",
        "configs.unknown_operations: v* (('retention.ms', *, '5'),)",
        "responses<*>.error_message",
        "None",
        "Unknown operations type *",
    ),
    # Not answered, or an exception inside; a clear error here, or an answer.
    *(
        Choice("a clear error", f"groups.unreadable: {step}", "", SILENT)
        for step in ("garbage", "too many topics", "a negative count")
    ),
    *(
        Choice("a clear error", f"twice_admin.altered_configs: {step}", "", SILENT)
        for step in ("the same", "around another")
    ),
    *(
        Choice("a clear error", f"twice_groups.protocols: {step}", "", SILENT)
        for step in ("the same", "other metadata")
    ),
    Choice("a clear error", "produce.bad_batches: null", "", SILENT),
    Choice(
        "a clear error",
        "produce.bad_batches: length of 2 GiB",
        "responses.*.error_code",
        "UNKNOWN_SERVER_ERROR",
        "INVALID_RECORD",
    ),
    Choice(
        "a clear error",
        "produce.codecs: codec *",
        "responses.*.error_code",
        "UNKNOWN_SERVER_ERROR",
        "UNSUPPORTED_COMPRESSION_TYPE",
    ),
    Choice(
        "a clear error",
        "produce.not_compressed: *",
        "responses.*.error_code",
        "UNKNOWN_SERVER_ERROR",
        "INVALID_RECORD",
    ),
    *(
        Choice("a clear error", step, path, "*UNKNOWN_SERVER_ERROR*", "*INVALID_REQUEST*")
        for step in (
            "fetch.offsets: * isolation *",
            "offsets.listed: * isolation *",
            "boundaries.*: ListOffsets * isolation_level=*",
        )
        for path in ("*error_code", "*.partitions")
    ),
    Choice("a clear error", "boundaries.*: Fetch v* isolation_level=*", "*"),
    # Apache Kafka looks for the session's part of its cache by an id that runs over.
    *(
        Choice("a clear error", f"boundaries.*: Fetch v* session_id=*{session}", "*")
        for session in (2**31 - 1, 2**31)
    ),
    Choice(
        "a clear error",
        "configs.resources: v* 4 '*' log.cleaner.threads=0",
        "responses<*>.error_message",
        "/ by zero",
        "log.cleaner.threads must be at least 1",
    ),
    # Limits below zero are zero; the exception inside Apache Kafka spares no field.
    Choice("a clear error", "boundaries.*: Fetch v* *max_bytes=-*", "*"),
    Choice("a clear error", "fetch.limits: * -1", "*"),
    Choice("text is UTF-8", "frames.headers: a topic name that is *", "", "answered", "closed"),
    *(
        Choice("no guessing", f"frames.{step}", "", "answered", "closed")
        for step in (
            "of_*: * with a tag twice*",
            "of_*: * with tags out of order*",
            "of_*: * with 2 GiB of tags*",  # which Apache Kafka reads as -1, and none
            "of_*: Metadata v* ff at 0",
            "of_*: DescribeLogDirs v1 ff at 0",
            "of_*: OffsetFetch v[2-5] ff at 3?",
        )
    ),
    # Apache Kafka's numbers run over.
    Choice(
        "a clear error",
        "boundaries.there: DescribeTopicPartitions * cursor.partition_index=2147483647",
        "next_cursor",
        "*-2147*",
        "None",
    ),
    # The controller of a node alone is reached within the process.
    Choice("no controller listener", "admin.quorum: v2 *", "nodes<*>.listeners", right="<>"),
    # Transactions are not built.
    Choice("no transactions", "groups.coordinators: v* type 1 *", "*"),
    Choice("no transactions", "idempotence.ids: * empty transactional id", "*"),
    # No walk over the records of a batch that is stored as it came.
    Choice(
        "checked by the batch", "produce.not_compressed: *", "responses.*.error_code", right="NONE"
    ),
    Choice(
        "checked by the batch", "produce.not_compressed: *", "responses.*.base_offset", "-1", "0"
    ),
    Choice("checked by the batch", "produce.not_compressed: *", "responses.*.log_start_offset"),
    Choice(
        "checked by the batch", "produce.bad_batches: * timestamp *: read back", "*.max_timestamp"
    ),
    # There are no thread pools whose size could change too fast.
    *(
        Choice(
            "no thread pools",
            f"configs.resources: v* 4 '*' {key}=*",
            "responses<*>.error_*",
            "*",
            "[Nn][oO][Nn][Ee]",
        )
        for key in (
            "num.io.threads",
            "num.network.threads",
            "background.threads",
            "num.recovery.threads.per.data.dir",
            "num.replica.fetchers",
            "log.cleaner.threads",
        )
    ),
    # What is wrong with a record is said in our own words.
    Choice(
        "own words",
        "produce.*",
        "responses.*.record_errors*.batch_index_error_message",
        "* *",
        "* *",
    ),
    Choice("own words", "produce.*", "responses.*.error_message", "* *", "records of a batch*"),
    # The sentences are our own; whether there is one is not.
    Choice("own documentation", "configs.*", "results<*>.configs.*.documentation", "* *", "* *"),
    Choice("a clear error", "topics.more_partitions: * to 100000", "results.*.error_*"),
)


# In short; docs/differences.md says more under the same names.
REASONS = {
    "not advertised": "What is not built is not advertised.",
    "no transactions": "Transactions are not built: an error ends a client's attempt.",
    "no controller listener": "A node's own controller is reached within the process.",
    "created topics": "Metadata that creates a topic is answered with the topic, not an error.",
    "a clear error": "Where Apache Kafka fails internally or is silent, an error says why.",
    "no guessing": "Malformed requests, such as a length below -1, close the connection.",
    "checked by the batch": "Records are checked one by one only where a rule applies to each.",
    "no thread pools": "There are no thread pools whose size could change too fast.",
    "own words": "The messages about refused records have other words, with the same codes.",
    "own documentation": "The sentences that document configurations are our own.",
    "text is UTF-8": "Text that is not UTF-8 closes the connection and is not replaced.",
}


def is_known_silence(difference: Difference) -> bool:
    """Whether neither answered what Apache Kafka is known not to answer, as two of its kind do."""
    return difference.path == UNHEARD and any(
        choice.left == SILENT and choice.speaks_of(difference) for choice in CHOICES
    )


def choice_for(difference: Difference) -> Choice | None:
    return next((choice for choice in CHOICES if choice.covers(difference)), None)
