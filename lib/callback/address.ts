import type ipaddr from 'ipaddr.js'
import type net from 'node:net'
import { invalidOption } from '../errors.js'

type Ip = typeof ipaddr
type Net = typeof net
type Address = ReturnType<Ip['process']>
type Range = ReturnType<Ip['parseCIDR']>

/**
 * Whether an address is one of the listed addresses or in one of the CIDR ranges. A mapped IPv4 address is its IPv4 address.
 * Throws `ERR_CONVERSION_OPTION_INVALID` for what is neither.
 */
export function addressMatcher(list: readonly unknown[]): (address: string | undefined) => boolean {
  // Loaded for those who ask for it, like everything that not every webhook needs.
  const ip = require('ipaddr.js') as Ip
  const { isIP } = require('node:net') as Net
  const ranges = list.map((entry) => parseRange(ip, isIP, entry))
  return (text) => {
    const bare = text?.replace(/%.*$/, '') ?? '' // without the zone of a link-local address
    if (isIP(bare) === 0) return false
    const address: Address = ip.process(bare)
    return ranges.some((range) => range[0].kind() === address.kind() && address.match(range))
  }
}

function parseRange(ip: Ip, isIP: Net['isIP'], entry: unknown): Range {
  const text = typeof entry === 'string' ? entry.trim() : ''
  const [base = '', bits, ...rest] = text.split('/')
  const width = { 4: 32, 6: 128 }[isIP(base)]
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
  if (width === undefined || prefix === undefined || !(prefix <= width) || rest.length > 0) {
    const ranges = 'IPv4 and IPv6 addresses and CIDR ranges such as "203.0.113.0/24"'
    throw invalidOption('allowFrom', `list ${ranges}, or be a function of the request`)
  }
  const address = ip.parse(base)
  const isMapped = address instanceof ip.IPv6 && address.isIPv4MappedAddress() && prefix >= 96
  return isMapped ? [address.toIPv4Address(), prefix - 96] : ([address, prefix] as Range)
}
