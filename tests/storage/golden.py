"""Batches written by Apache Kafka 4.3.0's own MemoryRecordsBuilder, one for each codec.

Base offset 7, leader epoch 5, producer 99 with epoch 3 and base sequence 11, records as in RECORDS.
"""

from __future__ import annotations

from base64 import b64decode

from kbroker.storage.builder import NewRecord
from kbroker.storage.compression import Codec

BASE_OFFSET = 7
RECORDS = [
    NewRecord(
        1000 + index,
        None if index % 3 == 0 else b"key%d" % index,
        None if index % 7 == 6 else b"value %d " % index * index,
        [(f"h{index}", b"x%d" % index), ("n", None)] if index % 5 == 0 else [],
    )
    for index in range(7)
]
BATCHES = {
    Codec.NONE: b64decode(
        "AAAAAAAAAAcAAAD8AAAABQLdK5G0AAAAAAAGAAAAAAAAA+gAAAAAAAAD7gAAAAAAAABjAAMAAAAL"
        "AAAABx4AAAABAAQEaDAEeDACbgEkAAICCGtleTEQdmFsdWUgMSAANAAEBAhrZXkyIHZhbHVlIDIg"
        "dmFsdWUgMiAAPAAGBgEwdmFsdWUgMyB2YWx1ZSAzIHZhbHVlIDMgAFQACAgIa2V5NEB2YWx1ZSA0"
        "IHZhbHVlIDQgdmFsdWUgNCB2YWx1ZSA0IAB2AAoKCGtleTVQdmFsdWUgNSB2YWx1ZSA1IHZhbHVl"
        "IDUgdmFsdWUgNSB2YWx1ZSA1IAQEaDUEeDUCbgEMAAwMAQEA"
    ),
    Codec.GZIP: b64decode(
        "AAAAAAAAAAcAAACrAAAABQIjD0PBAAEAAAAGAAAAAAAAA+gAAAAAAAAD7gAAAAAAAABjAAMAAAAL"
        "AAAABx+LCAAAAAAAAP+TY2BgYGRgYckwYKkwYMpjVGFgYuLITq00FChLzClNVTBUYDABSoOEjBQg"
        "QgiawYaBjY3RAMI1VkCnGUIYODhAOk0cIEImCrhohjIGLi6QUtMAiJCpAiEa6GZTlgpToJt5GHh4"
        "GBkZAIVTXLnLAAAA"
    ),
    Codec.SNAPPY: b64decode(
        "AAAAAAAAAAcAAADCAAAABQJu/UkFAAIAAAAGAAAAAAAAA+gAAAAAAAAD7gAAAAAAAABjAAMAAAAL"
        "AAAAB4JTTkFQUFkAAAAAAQAAAAEAAAB9ywGYHgAAAAEABARoMAR4MAJuASQAAgIIa2V5MRB2YWx1"
        "ZSAxIAA0AAQEARMEMiAJExkIGAA8AAYGATAJFwAzDR8ZCBAAVAAICAE6BDRACSMANA0jRggAEAB2"
        "AAoKASsENVAJKwA1DStmCABABARoNQR4NQJuAQwADAwBAQA="
    ),
    Codec.LZ4: b64decode(
        "AAAAAAAAAAcAAADAAAAABQKE40iOAAMAAAAGAAAAAAAAA+gAAAAAAAAD7gAAAAAAAABjAAMAAAAL"
        "AAAABwQiTRhgQIKAAAAA8BgeAAAAAQAEBGgwBHgwAm4BJAACAghrZXkxEHZhbHVlIDEgADQABAQT"
        "ACIyIBMABggAcgA8AAYGATAXABMzHwAGCABQAFQACAg6ACI0QCMAEzQjAA4IAFAAdgAKCisAIjVQ"
        "KwATNSsADwgAB/ACBARoNQR4NQJuAQwADAwBAQAAAAAA"
    ),
    Codec.ZSTD: b64decode(
        "AAAAAAAAAAcAAACqAAAABQKdnNINAAQAAAAGAAAAAAAAA+gAAAAAAAAD7gAAAAAAAABjAAMAAAAL"
        "AAAAByi1L/0AWGwDAPJFFBmAOW2NsDFMUGyY8M0pIUbFV5AcUJdEjpQpNjvHx5LT5Yr8etC1Cg3D"
        "ipMhrVWIaISTgMwYF5yDtQp/J+eRu1AkFMCxVuGdBZYcWo6Q32Y7EAoAwAJw1yjMgQ+Qr1GDX0FY"
        "5rCVDWrDLAMBAAA="
    ),
}
