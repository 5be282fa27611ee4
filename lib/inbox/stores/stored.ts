import { frozen, type Callback, type ConversionStatus } from '../../callback/conversion.js'
import type {
  Arrival,
  CredentialPlace,
  Digest,
  Pair,
  Received,
  Repair,
  RequestVia,
  Via,
} from '../../callback/received.js'
import type { Issue } from '../../errors.js'
import type { Difference } from '../vocabulary.js'
import {
  aBoolean,
  aNumber,
  anArray,
  anObject,
  aString,
  decode,
  fieldsOf,
  maybe,
  names,
  oneOf,
  strings,
} from './decoding.js'

/*
 * What is stored of a callback as JSON, field by field; `stored-history.ts` has the history of a delivery. The names here are those of the
 * stored values: they stay when a field of a type is renamed. A value begins with its version. A change of the shape is a new version: its
 * reader is added, and the readers before stay. A field that is usually empty is left out.
 */

/** Longer trace context is not kept: cut, it would name another trace. */
const maxCarrierLength = 512

/* Callbacks */

export function encodeCallback(callback: Callback): string {
  const { receivedAt, status, scope, params, extra, repairs } = callback
  return JSON.stringify({
    v: 1,
    at: receivedAt,
    status,
    scope: scope === '' ? undefined : scope,
    params,
    extra: Object.keys(extra).length === 0 ? undefined : extra,
    repairs: writtenRepairs(repairs),
    ...writtenArrival(callback),
  })
}

export const decodeCallback = (text: string): Callback => frozen(decode(text, readCallback))

const callbackNames = names('v', 'at', 'status', 'scope', 'params', 'extra', 'repairs', 'via', 'carrier')

function readCallback(value: unknown): Callback {
  const { at, status, scope, params, extra, repairs, via, carrier } = fieldsOf(value, callbackNames)
  return {
    status: readStatus(status),
    params: strings(params),
    extra: maybe(extra, strings) ?? {},
    repairs: readRepairs(repairs),
    scope: maybe(scope, aString) ?? '',
    receivedAt: aNumber(at),
    ...readArrival(via, carrier),
  }
}

export const readStatus = oneOf<ConversionStatus>({ success: true, fail: true, pending: true })

function writtenRepairs(repairs: readonly Repair[]) {
  return repairs.length === 0 ? undefined : repairs.map(({ kind, parameter }) => [kind, parameter])
}

function readRepairs(value: unknown): readonly Repair[] {
  if (value === undefined) return []
  return anArray(value).map((repair) => {
    const [kind, parameter] = anArray(repair)
    return { parameter: aString(parameter), kind: readRepairKind(kind) }
  })
}

const readRepairKind = oneOf<Repair['kind']>({
  charset: true,
  plus: true,
  'second-question-mark': true,
  'amp-entity': true,
})

/* How a callback came */

function writtenArrival({ via, carrier }: Arrival) {
  return { via: via && writtenVia(via), carrier: (carrier?.length ?? 0) <= maxCarrierLength ? carrier : undefined }
}

function writtenVia(via: Via): unknown {
  if (via.by === 'accept') return { by: 'accept' }
  const { method, contentType, userAgent, credential, isFromAllowed } = via
  return { by: method, type: contentType, agent: userAgent, cred: credential, allowed: isFromAllowed }
}

function readArrival(via: unknown, carrier: unknown): Arrival {
  return {
    ...(via !== undefined && { via: readVia(via) }),
    ...(carrier !== undefined && { carrier: aString(carrier) }),
  }
}

const viaNames = names('by', 'type', 'agent', 'cred', 'allowed')

function readVia(value: unknown): Via {
  const { by, type, agent, cred, allowed } = fieldsOf(value, viaNames)
  if (by === 'accept') return { by }
  return {
    by: 'request',
    method: readMethod(by),
    ...(type !== undefined && { contentType: aString(type) }),
    ...(agent !== undefined && { userAgent: aString(agent) }),
    ...(cred !== undefined && { credential: readPlace(cred) }),
    ...(allowed !== undefined && { isFromAllowed: aBoolean(allowed) }),
  }
}

const readMethod = oneOf<RequestVia['method']>({ GET: true, POST: true, PUT: true })
const readPlace = oneOf<CredentialPlace>({
  path: true,
  route: true,
  bearer: true,
  basic: true,
  header: true,
  query: true,
})

/* What was received of a refused callback */

export function encodeReceived(received: Received): string {
  const { pairs, issues, repairs, untyped, digest } = received
  return JSON.stringify({
    v: 1,
    pairs: pairs.map(([name, text]) => [name, text]),
    issues: issues.length === 0 ? undefined : issues.map(writtenIssue),
    repairs: writtenRepairs(repairs),
    untyped,
    digest: digest && { length: digest.length, sha256: digest.hash },
    ...writtenArrival(received),
  })
}

export const decodeReceived = (text: string): Received => decode(text, readReceived)

const receivedNames = names('v', 'pairs', 'issues', 'repairs', 'untyped', 'digest', 'via', 'carrier')

function readReceived(value: unknown): Received {
  const { pairs, issues, repairs, untyped, digest, via, carrier } = fieldsOf(value, receivedNames)
  return {
    pairs: anArray(pairs).map(readPair),
    issues: maybe(issues, anArray)?.map(readIssue) ?? [],
    repairs: readRepairs(repairs),
    ...(untyped !== undefined && { untyped: readUntyped(untyped) }),
    ...(digest !== undefined && { digest: readDigest(digest) }),
    ...readArrival(via, carrier),
  }
}

function readPair(value: unknown): Pair {
  const [name, text] = anArray(value)
  return [aString(name), aString(text)]
}

const readType = oneOf<'number' | 'other'>({ number: true, other: true })

function readUntyped(value: unknown): NonNullable<Received['untyped']> {
  return Object.fromEntries(Object.entries(anObject(value)).map(([name, type]) => [name, readType(type)]))
}

const digestNames = names('length', 'sha256')

function readDigest(value: unknown): Digest {
  const { length, sha256 } = fieldsOf(value, digestNames)
  return { length: aNumber(length), hash: aString(sha256) }
}

/* Why a callback was refused, and what told a conflict from its claim */

export const encodeIssues = (issues: readonly Issue[]): string =>
  JSON.stringify({ v: 1, issues: issues.map(writtenIssue) })

export const decodeIssues = (text: string): readonly Issue[] => decode(text, readIssues)

const issuesNames = names('v', 'issues')
const issueNames = names('in', 'rule', 'message')

const readIssues = (value: unknown): readonly Issue[] => anArray(fieldsOf(value, issuesNames).issues).map(readIssue)

const writtenIssue = ({ parameter, rule, message }: Issue): unknown => ({ in: parameter, rule, message })

function readIssue(value: unknown): Issue {
  const { in: parameter, rule, message } = fieldsOf(value, issueNames)
  return {
    ...(parameter !== undefined && { parameter: aString(parameter) }),
    rule: aString(rule),
    message: aString(message),
  }
}

export const encodeDiffers = (differs: readonly Difference[]): string =>
  JSON.stringify({
    v: 1,
    differs: differs.map(({ parameter, recorded, received }) => ({ in: parameter, was: recorded, is: received })),
  })

export const decodeDiffers = (text: string): readonly Difference[] => decode(text, readDiffers)

const differsNames = names('v', 'differs')
const differenceNames = names('in', 'was', 'is')

const readDiffers = (value: unknown): readonly Difference[] =>
  anArray(fieldsOf(value, differsNames).differs).map((difference) => {
    const { in: parameter, was, is } = fieldsOf(difference, differenceNames)
    return {
      parameter: aString(parameter),
      ...(was !== undefined && { recorded: aString(was) }),
      ...(is !== undefined && { received: aString(is) }),
    }
  })
