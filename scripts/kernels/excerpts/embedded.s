0000000000000000 <_ZN89_$LT$snellen_cpu..format..x86..Avx512$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h5d8fc4017ddb51b9E>:
  80:	prefetcht0 0x600(%rcx)
  87:	prefetcht0 0x640(%rcx)
  8e:	prefetcht1 (%r9)
  92:	vmovups (%r14),%zmm2
  98:	vmovups 0x40(%r14),%zmm3
  9f:	vmovups 0x80(%r14),%zmm4
  a6:	vmovups 0xc0(%r14),%zmm5
  ad:	vfmadd231ps (%rcx){1to16},%zmm2,%zmm1
  b3:	vfmadd231ps 0x4(%rcx){1to16},%zmm2,%zmm0
  ba:	vfmadd231ps 0x18(%rcx){1to16},%zmm3,%zmm1
  c1:	vfmadd231ps 0x1c(%rcx){1to16},%zmm3,%zmm0
  c8:	vfmadd231ps 0x30(%rcx){1to16},%zmm4,%zmm1
  cf:	vfmadd231ps 0x34(%rcx){1to16},%zmm4,%zmm0
  d6:	vfmadd231ps 0x48(%rcx){1to16},%zmm5,%zmm1
  dd:	vfmadd231ps 0x4c(%rcx){1to16},%zmm5,%zmm0
  e4:	add    $0x60,%rcx
  e8:	add    $0x100,%r14
  ef:	add    %r10,%r9
  f2:	dec    %r11
  f5:	jne    80 <_ZN89_$LT$snellen_cpu..format..x86..Avx512$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h5d8fc4017ddb51b9E+0x80>
  fb:	ret
