"""Keys of TLS, SASL, delegation tokens and authorization."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    CLASS,
    DOUBLE,
    INT,
    LIST,
    LONG,
    PASSWORD,
    PER_BROKER,
    SHORT,
    STRING,
    Key,
    Keyed,
    Strings,
)
from kbroker.config.validators import at_least, between, list_of, non_null, one_of, one_of_any_case


class SecurityKeys(Keyed):
    """TLS, SASL, delegation tokens, authorization."""

    authorizer_class_name = Key(
        "authorizer.class.name",
        STRING,
        "",
        non_null,
        doc="The authorizer; it is not implemented yet, and kbroker refuses to start if it is set.",
    )
    connections_max_reauth_ms = Key("connections.max.reauth.ms", LONG, 0)
    delegation_token_expiry_check_interval_ms = Key(
        "delegation.token.expiry.check.interval.ms", LONG, 3_600_000, at_least(1)
    )
    delegation_token_expiry_time_ms = Key(
        "delegation.token.expiry.time.ms", LONG, 86_400_000, at_least(1)
    )
    delegation_token_max_lifetime_ms = Key(
        "delegation.token.max.lifetime.ms", LONG, 604_800_000, at_least(1)
    )
    delegation_token_secret_key = Key[str | None]("delegation.token.secret.key", PASSWORD, None)
    early_start_listeners = Key[Strings | None](
        "early.start.listeners", LIST, None, list_of(empty=True, null=True)
    )
    principal_builder_class = Key(
        "principal.builder.class",
        CLASS,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        scope=PER_BROKER,
    )
    sasl_client_callback_handler_class = Key[str | None](
        "sasl.client.callback.handler.class", CLASS, None
    )
    sasl_enabled_mechanisms = Key[Strings](
        "sasl.enabled.mechanisms", LIST, ("GSSAPI",), list_of(empty=True), scope=PER_BROKER
    )
    sasl_jaas_config = Key[str | None]("sasl.jaas.config", PASSWORD, None, scope=PER_BROKER)
    sasl_kerberos_kinit_cmd = Key(
        "sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", scope=PER_BROKER
    )
    sasl_kerberos_min_time_before_relogin = Key(
        "sasl.kerberos.min.time.before.relogin", LONG, 60_000, scope=PER_BROKER
    )
    sasl_kerberos_principal_to_local_rules = Key[Strings](
        "sasl.kerberos.principal.to.local.rules",
        LIST,
        ("DEFAULT",),
        list_of(empty=True),
        scope=PER_BROKER,
    )
    sasl_kerberos_service_name = Key[str | None](
        "sasl.kerberos.service.name", STRING, None, scope=PER_BROKER
    )
    sasl_kerberos_ticket_renew_jitter = Key(
        "sasl.kerberos.ticket.renew.jitter", DOUBLE, 0.05, scope=PER_BROKER
    )
    sasl_kerberos_ticket_renew_window_factor = Key(
        "sasl.kerberos.ticket.renew.window.factor", DOUBLE, 0.8, scope=PER_BROKER
    )
    sasl_login_callback_handler_class = Key[str | None](
        "sasl.login.callback.handler.class", CLASS, None
    )
    sasl_login_class = Key[str | None]("sasl.login.class", CLASS, None)
    sasl_login_connect_timeout_ms = Key[int | None]("sasl.login.connect.timeout.ms", INT, None)
    sasl_login_read_timeout_ms = Key[int | None]("sasl.login.read.timeout.ms", INT, None)
    sasl_login_refresh_buffer_seconds = Key(
        "sasl.login.refresh.buffer.seconds", SHORT, 300, scope=PER_BROKER
    )
    sasl_login_refresh_min_period_seconds = Key(
        "sasl.login.refresh.min.period.seconds", SHORT, 60, scope=PER_BROKER
    )
    sasl_login_refresh_window_factor = Key(
        "sasl.login.refresh.window.factor", DOUBLE, 0.8, scope=PER_BROKER
    )
    sasl_login_refresh_window_jitter = Key(
        "sasl.login.refresh.window.jitter", DOUBLE, 0.05, scope=PER_BROKER
    )
    sasl_login_retry_backoff_max_ms = Key("sasl.login.retry.backoff.max.ms", LONG, 10_000)
    sasl_login_retry_backoff_ms = Key("sasl.login.retry.backoff.ms", LONG, 100)
    sasl_mechanism_controller_protocol = Key("sasl.mechanism.controller.protocol", STRING, "GSSAPI")
    sasl_mechanism_inter_broker_protocol = Key(
        "sasl.mechanism.inter.broker.protocol", STRING, "GSSAPI", scope=PER_BROKER
    )
    sasl_oauthbearer_allow_unverified_audience = Key(
        "sasl.oauthbearer.allow.unverified.audience", BOOLEAN, False
    )
    sasl_oauthbearer_allow_unverified_issuer = Key(
        "sasl.oauthbearer.allow.unverified.issuer", BOOLEAN, False
    )
    sasl_oauthbearer_assertion_algorithm = Key(
        "sasl.oauthbearer.assertion.algorithm", STRING, "RS256", one_of_any_case("ES256", "RS256")
    )
    sasl_oauthbearer_assertion_claim_aud = Key[str | None](
        "sasl.oauthbearer.assertion.claim.aud", STRING, None
    )
    sasl_oauthbearer_assertion_claim_exp_seconds = Key(
        "sasl.oauthbearer.assertion.claim.exp.seconds", INT, 300, between(0, 86_400)
    )
    sasl_oauthbearer_assertion_claim_iss = Key[str | None](
        "sasl.oauthbearer.assertion.claim.iss", STRING, None
    )
    sasl_oauthbearer_assertion_claim_jti_include = Key(
        "sasl.oauthbearer.assertion.claim.jti.include", BOOLEAN, False
    )
    sasl_oauthbearer_assertion_claim_nbf_seconds = Key(
        "sasl.oauthbearer.assertion.claim.nbf.seconds", INT, 60, between(0, 3600)
    )
    sasl_oauthbearer_assertion_claim_sub = Key[str | None](
        "sasl.oauthbearer.assertion.claim.sub", STRING, None
    )
    sasl_oauthbearer_assertion_file = Key[str | None](
        "sasl.oauthbearer.assertion.file", STRING, None
    )
    sasl_oauthbearer_assertion_private_key_file = Key[str | None](
        "sasl.oauthbearer.assertion.private.key.file", STRING, None
    )
    sasl_oauthbearer_assertion_private_key_passphrase = Key[str | None](
        "sasl.oauthbearer.assertion.private.key.passphrase", PASSWORD, None
    )
    sasl_oauthbearer_assertion_template_file = Key[str | None](
        "sasl.oauthbearer.assertion.template.file", STRING, None
    )
    sasl_oauthbearer_client_credentials_client_id = Key[str | None](
        "sasl.oauthbearer.client.credentials.client.id", STRING, None
    )
    sasl_oauthbearer_client_credentials_client_secret = Key[str | None](
        "sasl.oauthbearer.client.credentials.client.secret", PASSWORD, None
    )
    sasl_oauthbearer_clock_skew_seconds = Key("sasl.oauthbearer.clock.skew.seconds", INT, 30)
    sasl_oauthbearer_expected_audience = Key[Strings](
        "sasl.oauthbearer.expected.audience", LIST, (), list_of(empty=True)
    )
    sasl_oauthbearer_expected_issuer = Key[str | None](
        "sasl.oauthbearer.expected.issuer", STRING, None
    )
    sasl_oauthbearer_jwks_endpoint_refresh_ms = Key(
        "sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, 3_600_000
    )
    sasl_oauthbearer_jwks_endpoint_retry_backoff_max_ms = Key(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG, 10_000
    )
    sasl_oauthbearer_jwks_endpoint_retry_backoff_ms = Key(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG, 100
    )
    sasl_oauthbearer_jwks_endpoint_url = Key[str | None](
        "sasl.oauthbearer.jwks.endpoint.url", STRING, None
    )
    sasl_oauthbearer_jwt_retriever_class = Key(
        "sasl.oauthbearer.jwt.retriever.class",
        CLASS,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
    )
    sasl_oauthbearer_jwt_validator_class = Key(
        "sasl.oauthbearer.jwt.validator.class",
        CLASS,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
    )
    sasl_oauthbearer_scope = Key[str | None]("sasl.oauthbearer.scope", STRING, None)
    sasl_oauthbearer_scope_claim_name = Key("sasl.oauthbearer.scope.claim.name", STRING, "scope")
    sasl_oauthbearer_sub_claim_name = Key("sasl.oauthbearer.sub.claim.name", STRING, "sub")
    sasl_oauthbearer_token_endpoint_url = Key[str | None](
        "sasl.oauthbearer.token.endpoint.url", STRING, None
    )
    sasl_server_callback_handler_class = Key[str | None](
        "sasl.server.callback.handler.class", CLASS, None
    )
    sasl_server_max_receive_size = Key("sasl.server.max.receive.size", INT, 524_288)
    security_inter_broker_protocol = Key(
        "security.inter.broker.protocol",
        STRING,
        "PLAINTEXT",
        one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        doc="The listener that brokers use if inter.broker.listener.name is not set, by its "
        "security protocol.",
    )
    security_providers = Key[str | None]("security.providers", STRING, None)
    ssl_allow_dn_changes = Key("ssl.allow.dn.changes", BOOLEAN, False)
    ssl_allow_san_changes = Key("ssl.allow.san.changes", BOOLEAN, False)
    ssl_cipher_suites = Key[Strings](
        "ssl.cipher.suites", LIST, (), list_of(empty=True), scope=PER_BROKER
    )
    ssl_client_auth = Key(
        "ssl.client.auth", STRING, "none", one_of("required", "requested", "none"), scope=PER_BROKER
    )
    ssl_enabled_protocols = Key[Strings](
        "ssl.enabled.protocols",
        LIST,
        (
            "TLSv1.2",
            "TLSv1.3",
        ),
        list_of(empty=True),
        scope=PER_BROKER,
    )
    ssl_endpoint_identification_algorithm = Key(
        "ssl.endpoint.identification.algorithm", STRING, "https", scope=PER_BROKER
    )
    ssl_engine_factory_class = Key[str | None](
        "ssl.engine.factory.class", CLASS, None, scope=PER_BROKER
    )
    ssl_key_password = Key[str | None]("ssl.key.password", PASSWORD, None, scope=PER_BROKER)
    ssl_keymanager_algorithm = Key("ssl.keymanager.algorithm", STRING, "SunX509", scope=PER_BROKER)
    ssl_keystore_certificate_chain = Key[str | None](
        "ssl.keystore.certificate.chain", PASSWORD, None, scope=PER_BROKER
    )
    ssl_keystore_key = Key[str | None]("ssl.keystore.key", PASSWORD, None, scope=PER_BROKER)
    ssl_keystore_location = Key[str | None]("ssl.keystore.location", STRING, None, scope=PER_BROKER)
    ssl_keystore_password = Key[str | None](
        "ssl.keystore.password", PASSWORD, None, scope=PER_BROKER
    )
    ssl_keystore_type = Key("ssl.keystore.type", STRING, "JKS", scope=PER_BROKER)
    ssl_principal_mapping_rules = Key("ssl.principal.mapping.rules", STRING, "DEFAULT")
    ssl_protocol = Key("ssl.protocol", STRING, "TLSv1.3", scope=PER_BROKER)
    ssl_provider = Key[str | None]("ssl.provider", STRING, None, scope=PER_BROKER)
    ssl_secure_random_implementation = Key[str | None](
        "ssl.secure.random.implementation", STRING, None, scope=PER_BROKER
    )
    ssl_trustmanager_algorithm = Key("ssl.trustmanager.algorithm", STRING, "PKIX", scope=PER_BROKER)
    ssl_truststore_certificates = Key[str | None](
        "ssl.truststore.certificates", PASSWORD, None, scope=PER_BROKER
    )
    ssl_truststore_location = Key[str | None](
        "ssl.truststore.location", STRING, None, scope=PER_BROKER
    )
    ssl_truststore_password = Key[str | None](
        "ssl.truststore.password", PASSWORD, None, scope=PER_BROKER
    )
    ssl_truststore_type = Key("ssl.truststore.type", STRING, "JKS", scope=PER_BROKER)
