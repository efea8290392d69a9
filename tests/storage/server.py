"""A server that speaks S3, on this machine, that can go away and come back with all it holds."""

import logging
import socket
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "of-no-use-elsewhere",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "studies"


class S3Server:
    """Listens on a free port; what it holds lives as long as this process.

    Args:
        around: takes the server's WSGI application and returns one that answers otherwise.
    """

    def __init__(self, around=lambda application: application):
        self._around = around
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._server = None
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def address(self, prefix, bucket=BUCKET):
        """Of a storage that any process of this machine can use."""
        query = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"
        return f"s3://{bucket}/{prefix}?{query}"

    def start(self):
        application = self._around(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", self.port, application, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        """Nothing answers any more; what it holds stays."""
        self._server.shutdown()
        self._server.server_close()

    def answers(self):
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def make_bucket(self, name=BUCKET):
        self._client("s3").create_bucket(Bucket=name)

    def make_user(self):
        """One who may do nothing."""
        self._client("iam").create_user(UserName="guest")
        key = self._client("iam").create_access_key(UserName="guest")["AccessKey"]
        self.keys_without_rights = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def _client(self, service):
        import boto3

        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.endpoint, **keys)
