/** Part of every hostile string, so that a test can find messages that repeat one. */
const marker = 'jane-doe@marker.example'

const fail = (): never => {
  throw new Error(marker)
}
const traps = { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail }

/** Values of wrong types for a function that takes a string, a number or an object. Each call makes new ones, since some can be read only once. */
export function hostileValues(): readonly unknown[] {
  const revoked = Proxy.revocable({}, {})
  const revokedArray = Proxy.revocable([], {})
  revoked.revoke()
  revokedArray.revoke()
  const cyclic: Record<string, unknown> = {}
  cyclic[marker] = cyclic
  return [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    Number.MAX_VALUE,
    10n,
    '',
    '\0',
    marker,
    `a\0${marker}`,
    `\ud800${marker}\udc00`,
    `${marker}\u202e`,
    `'; DROP TABLE ${marker}; --`,
    marker.repeat(50_000),
    Symbol(marker),
    () => marker,
    [],
    [marker, marker],
    [marker, Symbol(marker)],
    Object.defineProperty([marker], 0, { get: fail }),
    new Date(),
    new Date(Number.NaN),
    new Map([[marker, marker]]),
    Buffer.from(marker),
    Promise.resolve(marker),
    { then: fail },
    {},
    Object.create(null),
    { [marker]: marker },
    { [marker.repeat(50_000)]: marker },
    { toString: fail, valueOf: fail, toJSON: fail, [Symbol.toPrimitive]: fail },
    cyclic,
    new Proxy({}, traps),
    new Proxy([], traps),
    revoked.proxy,
    revokedArray.proxy,
  ]
}

/** Arrays whose iteration never ends, or takes very long. */
export function endlessArrays(): readonly unknown[] {
  return [
    new Array(2 ** 32 - 1),
    Object.assign([marker], {
      *[Symbol.iterator]() {
        for (;;) yield marker
      },
    }),
  ]
}

/** Objects with one field each, whose value is hostile or throws when it is read. */
export function hostileFields(name: string): readonly unknown[] {
  return [
    ...[...hostileValues(), ...endlessArrays()].map((value) => ({ [name]: value })),
    Object.defineProperty({}, name, { get: fail, enumerable: true }),
  ]
}
