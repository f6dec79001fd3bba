"""The key of this installation, and where its secrets are: in a file, or sealed in the database that servers share."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import cache

from portal.app.cluster import SECRETS, Cluster
from portal.core.supervisor import Supervisor
from portal.errors import SettingsError
from portal.extras import add_command
from portal.security.cipher import Cipher
from portal.security.ring import key_in_file, key_in_ring
from portal.security.seal import fingerprint, key_of
from portal.security.sealed_secrets import SealedSecrets
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import Storage
from portal.storage.sealed import StoredSealed

log = logging.getLogger(__name__)

SEAL = "seal_key"


def seal_key(settings: Settings) -> bytes:
    """Of the settings, else of the data folder. Raises SettingsError, StorageError."""
    if settings.seal_key is not None:
        return key_of(settings.seal_key.get_secret_value())
    return (key_in_ring if settings.secrets.store == "keyring" else key_in_file)(settings.data_dir)


def secret_file(settings: Settings) -> SecretFile:
    """The secrets in the data folder, sealed where the key is in a keyring. Raises StorageError."""

    @cache
    def cipher() -> Cipher:
        return Cipher(seal_key(settings), install=f"`{add_command('keyring')}`")

    file = SecretFile(settings.data_dir / "secrets.json", cipher=cipher, sealed=settings.secrets.store == "keyring")
    file.settle()
    return file


async def check_key(storage: Storage, key: bytes) -> None:
    """That all servers on a database have the same one; the first one's counts. Raises SettingsError."""
    known = await storage.key_values.get(SEAL)
    if known is None:
        known = await storage.key_values.change(SEAL, lambda there: there or {"fingerprint": fingerprint(key)})
    if known["fingerprint"] != fingerprint(key):
        raise SettingsError(
            "This server's sealing key is not the one of its database: set `seal_key` (PORTAL_SEAL_KEY) to that of the "
            "other servers, or copy seal.key from the data folder of the first one. Where that key is lost for good, "
            "`portal reset-secrets` begins anew."
        )


async def bring_home(settings: Settings, storage: Storage) -> None:
    """What is sealed in the database goes into the file: where a server is alone again, and before the key goes. Raises
    SettingsError, StorageError."""
    kept = StoredSealed(database=storage.database)
    found = await kept.all()
    if not found:
        return
    cipher, file = Cipher(seal_key(settings), install=f"`{add_command('postgres')}`"), secret_file(settings)
    for name, sealed in found.items():
        try:
            secret = cipher.unseal(name, sealed)
        except ValueError:
            log.error("the secret %s was sealed with another key, and cannot be used", name)
            continue
        await asyncio.to_thread(file.set, name, secret)
        await kept.set(name, None)


async def open_secrets(
    settings: Settings, storage: Storage, cluster: Cluster, supervisor: Supervisor, stack: AsyncExitStack
) -> SecretFile | SealedSecrets:
    """Raises SettingsError, StorageError."""
    file = secret_file(settings)
    if storage.database.dialect == "sqlite":
        await bring_home(settings, storage)
        return file
    key = seal_key(settings)
    await check_key(storage, key)
    secrets = SealedSecrets(kept=StoredSealed(database=storage.database), key=key)
    await secrets.load()
    supervisor.keep_on(stack, secrets=secrets.run)
    for name in file.names():  # of a server that was alone before
        if secrets.get(name) is None:
            await asyncio.to_thread(secrets.set, name, file.get(name))
        await asyncio.to_thread(file.set, name, None)
    notices = cluster.notices
    if notices is not None:
        secrets.changed = lambda: notices.tell(SECRETS, {})
        cluster.renew({SECRETS: secrets.load})
        notices.on(SECRETS, lambda *_: cluster.heard(SECRETS))
    return secrets
