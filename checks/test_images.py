"""Releases as images: that they are there, run as nobody special, and are held to what the environment says."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.requires("images")


@pytest.mark.category("Deployment Scripts")
@pytest.mark.critical
def test_images_are_on_the_host(release: Any, context: Any, image_facts: Any) -> None:
    """The release's image is on the host, and so is the one that a rollback would start again."""
    advice = "pull or build it again; what was removed is no way back"
    assert image_facts(release), f"the host has no image {str(release.image)[:19]}… of {release.version}: {advice}"
    stable = context.stable
    if stable is not None and stable.image is not None:
        assert image_facts(stable), f"the host has no image {stable.image[:19]}… of {stable.version}: {advice}"


@pytest.mark.category("Security")
def test_image_runs_as_nobody_special(release: Any, environment: Any, image_facts: Any) -> None:
    """The release runs as a user who is not root."""
    user = environment.engine.user
    if user is None:
        facts = image_facts(release)
        assert facts, f"the host has no image of {release.version}: it cannot tell who runs in it"
        user = facts.user
    assert user.partition(":")[0] not in {"", "0", "root"}, (
        f"release {release.version} runs as root: write USER in its Dockerfile, or [engine] user"
    )


@pytest.mark.category("Deployment Scripts")
def test_every_service_says_whether_it_lives(release: Any, services: Any, image_facts: Any, no_faults: Any) -> None:
    """A health check is defined for every service, by its path or in its image."""
    facts = image_facts(release)
    in_image = facts is not None and facts.checks_health
    found = [
        f"[services.{name}] has neither health nor ready, and its image no HEALTHCHECK"
        for name, service in services.items()
        if not (service.health or service.ready or in_image)
    ]
    no_faults(found, "Without one it counts as healthy as long as it runs.")


@pytest.mark.category("Deployment Scripts")
def test_images_are_pinned(loose_images: Any, no_faults: Any) -> None:
    """What serves is named by its digest, and nothing by the tag latest."""
    no_faults(loose_images, "Name it by its version or its digest, and deploy again.")


@pytest.mark.category("Resource Limits")
def test_disks_have_room(disks: Any, measure: Any, no_faults: Any, inconclusive: Any) -> None:
    """There is room for the image and the logs of a release, and on every disk that a container may write to."""
    found = [
        f"{disk.folder}{disk.server and f' on {disk.server}'}: {disk.free / 2**20:.0f} MB free < "
        f"{disk.needed / 2**20:.0f} MB for the image once more and what it prints"
        for disk in disks
        if disk.free is not None and disk.free < disk.needed
    ]
    no_faults(found, "Make room: docker rmi what nobody goes back to (kept releases hold theirs), or a larger disk.")
    for disk in disks:
        if disk.used is not None and not disk.needed:
            measure("disk", disk.used, detail=f"{disk.folder} {disk.server}".strip())
    unknown = [f"{disk.folder} {disk.server}".strip() + f": {disk.unknown}" for disk in disks if disk.unknown]
    if unknown:
        inconclusive("; ".join(unknown))


@pytest.mark.category("Resource Limits")
@pytest.mark.requires("stable", "units")
def test_limits_hold_for_what_runs(
    serving_containers: Any, started_with: Any, environment: Any, no_faults: Any
) -> None:
    """The containers that serve are limited and confined as they were started."""
    running = {(container.server, container.service) for container in serving_containers}
    wanted = [(server, service) for server in environment.places or ("",) for service in started_with]
    found = [
        f"{service}: does not run{server and f' on {server}'}"
        for server, service in wanted
        if (server, service) not in running
    ]
    for container in serving_containers:
        name = f"{container.service} on {container.server}" if container.server else container.service
        limits = started_with[container.service].limits if container.service in started_with else None
        if limits is not None and container.cpu != limits.cpu:
            found.append(f"{name}: {container.cpu or 'no limit of'} cores, not {limits.cpu:g}")
        if limits is not None and container.memory != limits.memory:
            found.append(f"{name}: {container.memory or 'no limit of'} bytes of memory, not {limits.memory}")
        if container.pids is None:
            found.append(f"{name}: no limit of processes")
        if container.privileged or container.new_privileges or not container.capabilities_dropped:
            found.append(f"{name}: it may gain privileges")
        if environment.engine.read_only and not container.read_only:
            found.append(f"{name}: it may write to its root")
    no_faults(found, "Somebody changed it since; the next deployment starts it as the environment's file says.")


@pytest.mark.category("Resource Limits")
@pytest.mark.requires("stack")
def test_stack_limits_what_runs(stack_limits: Any, services: Any, no_faults: Any) -> None:
    """Every service of the stack is to be held to a number of cores and an amount of memory."""
    found = [f"{name}: no such service in the stack" for name in services if name not in stack_limits]
    for name, (cores, memory) in stack_limits.items():
        found += [f"{name}: no limit of cores"] if cores is None else []
        found += [f"{name}: no limit of memory"] if memory is None else []
    no_faults(
        found, "Write deploy.resources.limits into the stack file: one task must not starve all others of a node."
    )
