/*
 * The floor of bench/parse.mjs: the rules for parameters written out by hand for a valid callback. One pass over the query, then each
 * parameter's rule once, without tables, options and reports. Returns the conversion that parseCallback returns, or undefined if
 * parseCallback would refuse or repair, which is not measured.
 */
const slots = new Map(
  [
    'conversion',
    'referrer_name',
    'referrer_email',
    'referee_name',
    'referee_email',
    'orderID',
    'purchaseValue',
    'referrer_converts',
    'referrer_customValue',
    'goal_complete',
  ].map((name, slot) => [name, slot]),
)

const unwantedInAddress = /[\s\p{Cc}\p{Cs}]/u
const unwantedInOrder = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/u
const decimal = /^-?\d+(?:\.\d+)?$/
const digits = /^\d+$/

export function parseByHand(query) {
  if (query.length > 65_536) return undefined
  const texts = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]
  const extra = Object.create(null)
  let count = 0
  let characters = 0
  for (let start = 0; start < query.length;) {
    const ampersand = query.indexOf('&', start)
    const end = ampersand === -1 ? query.length : ampersand
    if (end > start) {
      if (++count > 100) return undefined
      const equals = query.indexOf('=', start)
      const middle = equals === -1 || equals > end ? end : equals
      const name = decode(query.slice(start, middle))
      const text = decode(query.slice(middle + 1, end))
      if (name === undefined || text === undefined) return undefined
      characters += name.length + text.length
      const slot = slots.get(name)
      if (slot === undefined) {
        if (name.startsWith('amp;') || name.includes('?')) return undefined
        extra[name] ??= text
      } else {
        if (texts[slot] !== undefined && texts[slot] !== text) return undefined
        texts[slot] = text
      }
    }
    start = end + 1
  }

  if (characters > 16_384) return undefined

  const params = {}
  const referrer = {}
  const referee = {}
  const [word, referrerName, referrerEmail, refereeName, refereeEmail, order, amount, converts, custom, goal] = texts
  const status = word?.trim().toLowerCase()
  if (status !== 'success' && status !== 'fail' && status !== 'pending') return undefined
  params.conversion = word
  if (!isBlank(referrerName)) {
    if (!isText(referrerName, 1_024) || isTemplate(referrerName, 'referrer_name')) return undefined
    params.referrer_name = referrerName
    referrer.name = referrerName
  }
  if (!isBlank(referrerEmail)) {
    const address = referrerEmail.trim()
    if (!isAddress(address) || isTemplate(address, 'referrer_email')) return undefined
    params.referrer_email = referrerEmail
    referrer.email = address
  }
  if (!isBlank(refereeName)) {
    if (!isText(refereeName, 1_024) || isTemplate(refereeName, 'referee_name')) return undefined
    params.referee_name = refereeName
    referee.name = refereeName
  }
  if (!isBlank(refereeEmail)) {
    const address = refereeEmail.trim()
    if (!isAddress(address) || isTemplate(address, 'referee_email')) return undefined
    params.referee_email = refereeEmail
    referee.email = address
  }
  const conversion = { status, referrer, referee }
  if (!isBlank(order)) {
    const orderId = order.trim()
    if (isLonger(orderId, 255) || unwantedInOrder.test(orderId) || isTemplate(orderId, 'orderID')) return undefined
    params.orderID = order
    conversion.orderId = orderId
  } else if (params.referee_email === undefined) {
    return undefined
  }
  if (!isBlank(amount)) {
    const text = amount.trim()
    if (text.length > 255 || !decimal.test(text) || (text.length > 15 && significantDigits(text) > 15)) return undefined
    params.purchaseValue = amount
    conversion.purchaseValue = Number(text) + 0
  }
  if (!isBlank(converts)) {
    const text = converts.trim()
    const number = Number(text)
    if (text.length > 255 || !digits.test(text) || number > Number.MAX_SAFE_INTEGER) return undefined
    params.referrer_converts = converts
    referrer.conversions = number
  }
  if (!isBlank(custom)) {
    if (!isText(custom, 8_192) || isTemplate(custom, 'referrer_customValue')) return undefined
    params.referrer_customValue = custom
    referrer.customValue = custom
  }
  let isGoal = false
  if (!isBlank(goal)) {
    const flag = goal.trim()
    if (flag !== '0' && flag !== '1') return undefined
    params.goal_complete = goal
    isGoal = flag === '1'
  }
  conversion.goalComplete = isGoal
  conversion.scope = ''
  conversion.receivedAt = new Date()
  conversion.extra = extra
  conversion.params = params
  conversion.repairs = []
  return { ok: true, conversion }
}

function decode(raw) {
  const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return undefined
  }
}

function isBlank(text) {
  return text === undefined || text.trim() === ''
}

function isText(text, limit) {
  return !isLonger(text, limit) && !text.includes('\0')
}

function isAddress(text) {
  const at = text.indexOf('@')
  const isDivided = at > 0 && at < text.length - 1 && !text.includes('@', at + 1)
  return isDivided && !isLonger(text, 320) && !unwantedInAddress.test(text)
}

/** Makes the pattern only for a string that ends in a bracket, which few do. */
function isTemplate(text, name) {
  const trimmed = text.trim()
  if (!'}]>%'.includes(trimmed.charAt(trimmed.length - 1))) return false
  return new RegExp(`^[$#]?[{[<%]+\\s*${name}\\s*[}\\]>%]+$`).test(trimmed)
}

/** Compares lengths in characters. Counts surrogate pairs only if the length in UTF-16 units is too long. */
function isLonger(text, limit) {
  return text.length > limit && (text.length > 2 * limit || Array.from(text).length > limit)
}

function significantDigits(text) {
  return text.replace(/^-?[0.]+/, '').replace(/[-.]/g, '').length
}
