0000000000000000 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17ha6a1cebf8cb720bfE>:
  60:	prefetcht0 0x600(%rdx)
  67:	prefetcht0 0x640(%rdx)
  6e:	prefetcht1 (%r10)
  72:	vbroadcastss (%rdx),%ymm1
  77:	vpmovzxwd (%r14),%ymm2
  7c:	vpslld $0x10,%ymm2,%ymm2
  81:	vfmadd213ps %ymm0,%ymm1,%ymm2
  86:	vbroadcastss 0x18(%rdx),%ymm0
  8c:	vpmovzxwd 0x10(%r14),%ymm1
  92:	vpslld $0x10,%ymm1,%ymm1
  97:	vfmadd213ps %ymm2,%ymm0,%ymm1
  9c:	vbroadcastss 0x30(%rdx),%ymm0
  a2:	vpmovzxwd 0x20(%r14),%ymm2
  a8:	vpslld $0x10,%ymm2,%ymm2
  ad:	vfmadd213ps %ymm1,%ymm0,%ymm2
  b2:	vbroadcastss 0x48(%rdx),%ymm1
  b8:	vpmovzxwd 0x30(%r14),%ymm0
  be:	vpslld $0x10,%ymm0,%ymm0
  c3:	vfmadd213ps %ymm2,%ymm1,%ymm0
  c8:	add    $0x60,%rdx
  cc:	add    $0x40,%r14
  d0:	add    %r11,%r10
  d3:	dec    %rbx
  d6:	jne    60 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17ha6a1cebf8cb720bfE+0x60>
  dc:	ret
