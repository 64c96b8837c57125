"""The version of the service, which the distribution takes from here."""

VERSION = "0.1.0"
