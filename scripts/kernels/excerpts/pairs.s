0000000000000000 <_ZN85_$LT$snellen_cpu..format..x86..Avx512Pairs$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h13507525ca758bb9E>:
  60:	prefetcht0 0x600(%rsi)
  67:	prefetcht0 0x640(%rsi)
  6e:	prefetcht1 (%r10)
  72:	vbroadcastss (%rsi),%zmm1
  78:	vdpbf16ps (%r14),%zmm1,%zmm0
  7e:	vbroadcastss 0x18(%rsi),%zmm1
  85:	vdpbf16ps 0x40(%r14),%zmm1,%zmm0
  8c:	vbroadcastss 0x30(%rsi),%zmm1
  93:	vdpbf16ps 0x80(%r14),%zmm1,%zmm0
  9a:	vbroadcastss 0x48(%rsi),%zmm1
  a1:	vdpbf16ps 0xc0(%r14),%zmm1,%zmm0
  a8:	add    $0x60,%rsi
  ac:	add    $0x100,%r14
  b3:	add    %r11,%r10
  b6:	dec    %rbx
  b9:	jne    60 <_ZN85_$LT$snellen_cpu..format..x86..Avx512Pairs$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h13507525ca758bb9E+0x60>
  bf:	ret
