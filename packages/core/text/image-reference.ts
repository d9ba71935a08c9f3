/**
 * The grammar of image references (https://github.com/distribution/reference, reference.go):
 * `[host[:port]/]path[:tag][@digest]`. Hosts are names or IPv4 addresses.
 */
const hostComponent = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `${hostComponent}(?:\\.${hostComponent})*`;
const pathComponent = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digest = "(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})";

/** The grammar as a regular expression that ECMAScript, RE2 and Python share. */
export const imagePattern = `^(?:${host}(?::[0-9]{1,5})?/)?${pathComponent}(?:/${pathComponent})*(?::${tag})?(?:@${digest})?$`;

export const LONGEST_IMAGE = 512;
const LONGEST_REPOSITORY = 255;
const HIGHEST_PORT = 65_535;

/** Returns why an image reference is invalid, or undefined for a valid one. */
export function imageFault(text: string): string | undefined {
  if (/[\s\p{C}\p{Default_Ignorable_Code_Point}\u2800]/u.test(text)) {
    return "Image must not contain white space or control characters";
  }
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.test(text)) return "Image must not begin with a scheme such as docker://";
  const [named = "", ...digests] = text.split("@");
  if (digests.some((part) => !matches(digest, part)) || digests.length > 1) {
    return "Image has a bad digest: it must be sha256, sha384 or sha512, a colon and all its hex digits in lower case";
  }
  const { registry, repository, tagged } = getParts(named);
  if (tagged !== undefined && !matches(tag, tagged)) {
    return "Image has a bad tag: it must have 1 to 128 letters, digits, '_', '.' or '-', and not begin with '.' or '-'";
  }
  return registryFault(registry) ?? repositoryFault(repository, registry !== undefined);
}

/** Returns the host of the registry that an image names, with its port, or undefined for Docker Hub. */
export function findRegistry(image: string): string | undefined {
  return getParts(image.split("@")[0] ?? "").registry;
}

interface ImageParts {
  readonly registry: string | undefined;
  readonly repository: string;
  readonly tagged: string | undefined;
}

/** Splits a reference. A first part with a dot, a colon or a capital letter, or `localhost`, names a registry. */
function getParts(named: string): ImageParts {
  const slash = named.indexOf("/");
  const first = slash < 0 ? "" : named.slice(0, slash);
  const hasRegistry = first === "localhost" || /[.:A-Z]/.test(first);
  const rest = hasRegistry ? named.slice(slash + 1) : named;
  const colon = rest.indexOf(":");
  return {
    registry: hasRegistry ? first : undefined,
    repository: colon < 0 ? rest : rest.slice(0, colon),
    tagged: colon < 0 ? undefined : rest.slice(colon + 1),
  };
}

function registryFault(registry: string | undefined): string | undefined {
  if (registry === undefined) return undefined;
  if (registry.startsWith("[")) return "Image must not name its registry by an address in brackets";
  const colon = registry.indexOf(":");
  const [name, port] = colon < 0 ? [registry, undefined] : [registry.slice(0, colon), registry.slice(colon + 1)];
  // The grammar reads `a_b.test/x` as a path.
  if (!matches(host, name) && !(port === undefined && matches(pathComponent, name))) {
    return "Image has a bad registry: a host name has letters, digits and '-', with single dots between its parts";
  }
  if (port === undefined || (/^[0-9]{1,5}$/.test(port) && Number(port) <= HIGHEST_PORT)) return undefined;
  return `Image has a bad port: the registry's port must be a number up to ${HIGHEST_PORT}`;
}

function repositoryFault(repository: string, hasRegistry: boolean): string | undefined {
  if (repository.length > LONGEST_REPOSITORY) return `Image has a repository of over ${LONGEST_REPOSITORY} characters`;
  if (/[A-Z]/.test(repository)) return "Image must not have capital letters in its repository";
  if (repository.split("/").includes("")) return "Image has no repository, or one with an empty part";
  if (!repository.split("/").every((part) => matches(pathComponent, part))) {
    return "Image has a bad repository: its parts have letters and digits, with '.', '_', '__' or '-' between them";
  }
  // Such a name would be read as an image id (distribution/reference, normalize.go).
  if (!hasRegistry && /^[a-f0-9]{64}$/.test(repository)) return "Image must not be the id of an image";
  return undefined;
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}
